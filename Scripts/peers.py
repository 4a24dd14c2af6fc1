"""What bench_peers.py times beside lowrank: the same work through numpy, scipy, torch and scikit-learn.

A contender is a name and a function that does the work once and returns its result. Operands are made once for each
row, outside of the clock; results go into memory that exists already wherever the library allows it.
"""

import math

import oracle


def optional(name):
    """The package, or None where it is not installed."""
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        return None


class Work:
    """The operands of one row, and what its results are held against."""

    def __init__(self, row, seed=7):
        self.numpy = oracle.need("numpy")
        self.row = row
        self.random = self.numpy.random.default_rng(seed)
        self.torch = optional("torch")
        self.scipy = optional("scipy.linalg")
        self.sklearn = optional("sklearn.utils.extmath")

    def normal(self, rows, columns, dtype):
        return self.random.standard_normal((rows, columns), dtype="float32").astype(dtype)

    def contenders(self):
        """Name → function of no arguments."""
        found = getattr(self, self.row.op)()
        return {name: run for name, run in found.items() if run is not None}

    def error(self, result):
        """Relative error of a result against the optimum or the exact value; None where it says nothing."""
        measure = getattr(self, self.row.op + "_error", None)
        return None if measure is None or result is None else measure(result)

    # c = a · b

    def gemm(self):
        row, numpy, torch = self.row, self.numpy, self.torch
        dtype = {"f32": "float32", "f64": "float64"}[row.dtype]
        self.a, self.b = self.normal(row.m, row.k, dtype), self.normal(row.k, row.n, dtype)
        c = numpy.empty((row.m, row.n), dtype)
        found = {"numpy matmul": lambda: numpy.matmul(self.a, self.b, out=c)}
        if torch:
            a, b, target = (torch.from_numpy(x) for x in (self.a, self.b, numpy.empty_like(c)))
            found["torch mm"] = lambda: torch.mm(a, b, out=target).numpy()
        return found

    def gemm_error(self, result):
        """Largest difference to float64 in a few rows, relative to √k."""
        numpy = self.numpy
        rows = numpy.linspace(0, self.row.m - 1, 5, dtype=int)
        exact = self.a[rows].astype("float64") @ self.b.astype("float64")
        return float(numpy.abs(result[rows] - exact).max() / math.sqrt(self.row.k))

    # c = c + a · b with a short inner side

    def update(self):
        row, numpy, torch = self.row, self.numpy, self.torch
        a, b = self.normal(row.m, row.k, "float32"), self.normal(row.k, row.n, "float32")
        c = numpy.zeros((row.m, row.n), "float32")
        found = {}
        if torch:
            left, right, target = (torch.from_numpy(x) for x in (a, b, c))
            found["torch addmm_"] = lambda: target.addmm_(left, right)
        if self.scipy:
            # Column-major: cᵀ ← cᵀ + bᵀ aᵀ on the same memory.
            blas = oracle.need("scipy.linalg.blas")
            found["scipy sgemm"] = lambda: blas.sgemm(1.0, b.T, a.T, beta=1.0, c=c.T, overwrite_c=1)
        return found

    # y = W · x

    def gemv(self):
        row, numpy, torch = self.row, self.numpy, self.torch
        w, x = self.normal(row.m, row.k, "float32"), self.normal(row.k, 1, "float32")[:, 0]
        y = numpy.empty(row.m, "float32")
        found = {}
        if row.dtype == "f32":
            found["numpy matmul"] = lambda: numpy.matmul(w, x, out=y)
        if torch:
            dtype = torch.float32 if row.dtype == "f32" else torch.bfloat16
            weight, vector = torch.from_numpy(w).to(dtype), torch.from_numpy(x).to(dtype)
            found["torch mv"] = lambda: torch.mv(weight, vector)
        return found

    # G = X Xᵀ in float64

    def gram(self):
        row, numpy, torch = self.row, self.numpy, self.torch
        x = self.normal(row.m, row.k, "float32")
        found = {}
        if row.dtype == "bf16":
            bits = (x.view("uint32") >> 16).astype("uint16")
            self.x = (bits.astype("uint32") << 16).view("float32")

            def widened():
                return (bits.astype("uint32") << 16).view("float32").astype("float64")
        else:
            self.x = x

            def widened():
                return x.astype("float64")

        def product():
            wide = widened()
            return numpy.matmul(wide, wide.T)

        found["numpy"] = product
        if torch:
            source = torch.from_numpy(self.x).to(torch.bfloat16 if row.dtype == "bf16" else torch.float32)

            def torch_product():
                wide = source.double()
                return (wide @ wide.T).numpy()

            found["torch"] = torch_product
        return found

    def gram_error(self, result):
        numpy = self.numpy
        rows = numpy.linspace(0, self.row.m - 1, 5, dtype=int)
        exact = self.x[rows].astype("longdouble") @ self.x[:64].astype("longdouble").T
        return float(numpy.abs(result[rows][:, :64] - exact).max() / self.row.k)

    # A ≈ U_k Σ_k V_kᵀ

    def svd(self):
        row, numpy = self.row, self.numpy
        self.a = self.normal(row.m, row.n, "float32")
        self.optimum = None
        k = row.k

        def gesdd():
            u, s, v = numpy.linalg.svd(self.a, full_matrices=False)
            return u[:, :k] * s[:k], v[:k]

        def projected(vectors):
            # The leading right singular vectors V: A ≈ (A V) Vᵀ.
            return self.a @ vectors, vectors.T

        def gram_eigh(dtype):
            wide = self.a.astype(dtype, copy=False)
            return projected(numpy.linalg.eigh(wide.T @ wide)[1][:, -k:].astype("float32"))

        found = {"numpy gesdd": gesdd, "numpy Gram+eigh f32": lambda: gram_eigh("float32"),
                 "numpy Gram+eigh f64": lambda: gram_eigh("float64")}
        if self.scipy:
            eigh = self.scipy.eigh

            def gram_evr():
                gram = self.a.T @ self.a
                return projected(eigh(gram, subset_by_index=(row.n - k, row.n - 1), driver="evr")[1])

            found["scipy Gram+evr subset"] = gram_evr
        found.update(self.torch_svd(k))
        if self.sklearn:
            def randomized():
                u, s, v = self.sklearn.randomized_svd(self.a, k, random_state=0)
                return u * s, v

            found["sklearn randomized"] = randomized
        return found

    def torch_svd(self, k):
        torch = self.torch
        if not torch:
            return {}
        a = torch.from_numpy(self.a)

        def svd():
            u, s, v = torch.linalg.svd(a, full_matrices=False)
            return (u[:, :k] * s[:k]).numpy(), v[:k].numpy()

        def gram():
            vectors = torch.linalg.eigh(a.T @ a)[1][:, -k:]
            return (a @ vectors).numpy(), vectors.T.numpy()

        return {"torch svd": svd, "torch Gram+eigh f32": gram}

    def svd_error(self, result):
        """Excess of the Frobenius error over the least possible at this rank, relative to it."""
        numpy = self.numpy
        if self.optimum is None:
            wide = self.a.astype("float64")
            values = numpy.linalg.eigvalsh(wide.T @ wide)
            self.optimum = math.sqrt(values[:-self.row.k].clip(0).sum())
        left, right = (factor.astype("float64") for factor in result)
        return float(numpy.linalg.norm(self.a - left @ right) / self.optimum - 1)

    # A = V Λ Vᵀ, all of it

    def eigen(self):
        numpy, torch = self.numpy, self.torch
        x = self.random.standard_normal((self.row.n, self.row.n))
        self.a = (x + x.T) / 2
        found = {"numpy eigh": lambda: numpy.linalg.eigh(self.a)}
        if self.scipy:
            found["scipy evr"] = lambda: self.scipy.eigh(self.a, driver="evr")
            found["scipy evd"] = lambda: self.scipy.eigh(self.a, driver="evd")
        if torch:
            a = torch.from_numpy(self.a)
            found["torch eigh"] = lambda: tuple(x.numpy() for x in torch.linalg.eigh(a))
        return found

    def eigen_error(self, result):
        values, vectors = result
        residual = self.numpy.linalg.norm(self.a @ vectors - vectors * values)
        return float(residual / self.numpy.linalg.norm(self.a))


# Contenders that do not solve the same problem exactly: shown, and left out of "the best peer".
INEXACT = {"sklearn randomized"}
