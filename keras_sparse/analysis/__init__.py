"""Read-only views of a model: what it stores, what it connects, what it computes."""

from keras_sparse.analysis.channel_graph import is_path_connected
from keras_sparse.analysis.profile import Profile, ProfileRow, profile

__all__ = ["Profile", "ProfileRow", "is_path_connected", "profile"]
