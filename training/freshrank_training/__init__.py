"""Training of the ranker: examples in, a small int8 ONNX file with its card out.

Importing this package pins every numeric library to one thread, since the order of a sum decides its last bit and the
same examples must give the same file. It works only before numpy and jax are first imported.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["JAX_PLATFORMS"] = "cpu"
# AVX2 at most: a newer machine would sum in wider lanes, and so in another order.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false --xla_cpu_max_isa=AVX2"
