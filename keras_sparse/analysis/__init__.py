"""Read-only views of a model: what it stores, what it connects, what it computes."""

from keras_sparse.analysis.profile import Profile, ProfileRow, profile

__all__ = ["Profile", "ProfileRow", "profile"]
