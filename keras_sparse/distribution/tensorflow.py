"""`tf.distribute`: replicas and the strategies that make them."""

import contextlib

import keras
import tensorflow as tf

from keras_sparse import checks


def replicas_here():
    """The replicas of the step that is being computed; 1 outside of one."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def all_reduce(tensors):
    """The sums of tensors over all replicas."""
    return tuple(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))


def mirrored(devices, owner):
    """A `MirroredStrategy` on some of this machine's GPUs or, where there is none, on parts of its CPU."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and devices is not None:
        divide_processor(devices)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if devices is not None and devices > len(names):
        raise checks.error(
            "devices", owner, f"at most the {len(names)} of kind {kind} here", devices,
            "Leave it out for all of them; and if it is the CPU, choose before TensorFlow computes anything.",
        )  # fmt: skip
    return tf.distribute.MirroredStrategy(names[:devices])


def divide_processor(count):
    """Makes several devices of the CPU; too late to be done once TensorFlow has computed something."""
    (processor,) = tf.config.list_physical_devices("CPU")
    with contextlib.suppress(RuntimeError):
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)


def synchronize_normalization(model):
    """Lets Keras's own batch normalisations go by the whole batch; those of this package do by themselves.

    By its part alone each replica would keep other moving statistics, of which those of the first are saved.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and not getattr(layer, "uses_moments_of_batch", False):
            layer.synchronized = True


def multi_worker(workers, rank):
    """A `MultiWorkerMirroredStrategy` of these processes; it waits until all are there."""
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": workers}), task_type="worker", task_id=rank, rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def shared_by_replicas(strategy, batches):
    """What this process has of each batch, divided among its replicas, of which none goes without.

    Left to TensorFlow, the last ones may get an empty part; its convolution makes that one channel wide.
    """
    count = len(strategy.extended.worker_devices)

    def parts(x, y):
        size = tf.shape(x)[0]

        def part(i):
            begin, end = size * i // count, size * (i + 1) // count
            return (x, y) if size < count else (x[begin:end], y[begin:end])

        return tf.data.Dataset.range(count, output_type=tf.int32).map(part)

    return strategy.distribute_datasets_from_function(lambda _: batches.flat_map(parts).prefetch(2))


def gather(strategy, number):
    """The number of each process, by rank."""

    def everywhere():
        return tf.distribute.get_replica_context().all_gather(tf.constant([number]), axis=0)

    found = strategy.experimental_local_results(strategy.run(tf.function(everywhere)))[0]
    return found.numpy()[:: len(strategy.extended.worker_devices)].tolist()
