"""A search over several processes: KerasTuner's oracle service, made to lose workers.

One process, the chief, says what is tried next; any number of workers, on hosts that share the folder of the search,
ask it for trials. KerasTuner finds its part in three environment variables, which `role` sets.
"""

import concurrent.futures
import contextlib
import os
import secrets
import threading
import time

import grpc

from keras_sparse import checks
from keras_sparse.distribution.addresses import is_address

BEAT = 5  # seconds between two signs of life of a worker that trains
SILENCE = 60  # seconds without one, after which its trial is given to another
PATIENCE = 600  # seconds without any worker, after which the chief ends
ANSWER = 180  # seconds in which a worker expects an answer; KerasTuner waits for an hour
ID, IP, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


@contextlib.contextmanager
def role(chief=None, worker=None):
    """Makes this process the chief at an address, or a worker of the chief there.

    Args:
        chief, worker: String such as "10.0.0.1:8000", or None. With neither, the variables are left as they are.

    Raises:
        ValueError: If both are given, or the address is none.
        ConnectionError: If the chief does not answer.
    """
    if chief is not None and worker is not None:
        raise checks.error("worker", "search", "None in the process that is the chief", worker, "Start another one.")
    address = chief or worker
    if address is None:
        yield
        return
    if not is_address(address):
        name = "chief" if chief else "worker"
        raise checks.error(name, "search", "HOST:PORT, of the chief", address, "For example 127.0.0.1:8000.")
    host, _, port = address.rpartition(":")
    # KerasTuner takes for the chief whose name has "chief" in it: no host's name here.
    name = "chief" if chief else f"worker-{os.getpid()}-{secrets.token_hex(4)}"
    before = {key: os.environ.get(key) for key in (ID, IP, PORT)}
    os.environ.update({ID: name, IP: host, PORT: port})
    try:
        with _answers_in_time(address):
            yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


@contextlib.contextmanager
def _answers_in_time(address):
    from keras_tuner.src.distribute import oracle_client

    before, oracle_client.TIMEOUT = oracle_client.TIMEOUT, ANSWER
    try:
        yield
    except grpc.RpcError as error:
        late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        reason = f"has not answered for {ANSWER} seconds" if late else f"answered with an error: {error.details()}"
        raise ConnectionError(
            f"The chief at {address} {reason}. If it was stopped, it goes on as chief with `resume`."
        ) from error
    finally:
        oracle_client.TIMEOUT = before


def is_chief():
    """Whether this process is the chief of a search over several."""
    return IP in os.environ and "chief" in os.environ[ID]


class Heartbeat:
    """While a worker is inside, the chief hears every few seconds that it lives.

    Args:
        oracle: KerasTuner's client of the chief's oracle.
        trial_id: String, what the worker works on.
    """

    def __init__(self, oracle, trial_id):
        self.oracle = oracle
        self.trial_id = trial_id
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def _beat(self):
        while not self._done.wait(BEAT):
            with contextlib.suppress(grpc.RpcError):  # the trial's end will say so
                self.oracle.get_trial(self.trial_id)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *exception):
        self._done.set()


def serve(oracle, silence=SILENCE, patience=PATIENCE):
    """Answers workers until the search is over, and gives the trials of lost ones to others.

    In the place of KerasTuner's `start_server`, which never ends if a worker has died.

    Args:
        oracle: One of `tuning.oracles`.
        silence: Number, seconds after which a worker that is not heard from is lost.
        patience: Number, seconds to wait for workers if there are none.

    Raises:
        OSError: If the address cannot be served at.
        TimeoutError: If there were no workers for `patience` seconds.
    """
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    address = f"{os.environ[IP]}:{os.environ[PORT]}"
    # Several threads, for signs of life to be heard while one measures what may be tried next.
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=8))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"The chief cannot serve at {address}. Is another one running there?") from error
    server.start()
    try:
        while not oracle.has_ended():
            for worker in oracle.take_back(silence):
                print(f"{worker} was not heard from for {silence} seconds; its trial is given to another", flush=True)
            if oracle.silence() > patience:
                raise TimeoutError(f"No worker was heard from for {patience} seconds. Go on as chief with `resume`.")
            time.sleep(min(1, silence / 4))
    finally:
        server.stop(grace=5).wait()
