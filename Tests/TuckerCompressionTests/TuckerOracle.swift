import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors

@testable import TuckerCompression

/// Small stacks, their objectives, and naive ways to the same results.
enum TuckerOracle {
    static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    /// Members that share their leading directions, and noise.
    static func related(count: Int, rows: Int, columns: Int, seed: UInt64) -> [Matrix] {
        let left = random(rows, 6, seed: seed), right = random(columns, 6, seed: seed + 1)
        return (0..<count).map { member in
            let core = random(6, 6, seed: seed + 10 + UInt64(member))
            let noise = random(rows, columns, seed: seed + 100 + UInt64(member))
            return Matrix(rows: rows, columns: columns) { i, j in
                var sum = 0.3 * noise[i, j]
                for a in 0..<6 {
                    for b in 0..<6 { sum += left[i, a] * core[a, b] * right[j, b] }
                }
                return sum
            }
        }
    }

    static func gram(_ size: Int, samples: Int, seed: UInt64) throws -> GramMetric {
        let x: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: samples)
        let scaled = Matrix64(rows: size, columns: samples) { x[$0, $1] * (0.2 + Double($0 % 7)) }
        var moment = Matrix64(rows: size, columns: size)
        multiplyByTranspose(MatrixOperand(scaled), into: moment.mutableView())
        return try GramMetric(moment: moment)
    }

    static func tasks(
        _ weights: [Matrix], inputs: [Metric]? = nil, outputs: [Metric]? = nil, type: ElementType = .float32,
        heads: [HeadSplit?]? = nil
    ) -> [CompressionTask] {
        weights.enumerated().map { index, weight in
            CompressionTask(
                member: GroupMember(
                    module: "m\(index)", outFeatures: weight.rows, inFeatures: weight.columns, factorType: type,
                    heads: heads?[index]),
                objective: Objective(
                    target: MatrixOperand(weight), inputs: inputs?[index] ?? .identity,
                    outputs: outputs?[index] ?? .identity))
        }
    }

    static func compressor(
        _ values: [String: String] = [:], storage: MethodSettings.Storage = .factors
    ) throws -> TuckerCompressor {
        try TuckerCompressor(MethodSettings(storage: storage, values: values))
    }

    /// Compresses and expects operators.
    static func operators(
        _ tasks: [CompressionTask], _ budget: Budget, _ values: [String: String] = [:],
        storage: MethodSettings.Storage = .factors
    ) throws -> [TuckerOperator] {
        try compressor(values, storage: storage).compress(tasks, budget: budget).map { outcome in
            switch outcome {
            case .compressed(let compressed as TuckerOperator, _): return compressed
            case .compressed: throw Unexpected(reason: "another schema")
            case .dense(let reason): throw Unexpected(reason: reason)
            }
        }
    }

    struct Unexpected: Error { let reason: String }

    /// Σ_k of the squared errors in the metrics of the objectives, in Double.
    static func squaredError(_ tasks: [CompressionTask], _ operators: [any LinearOperator]) -> Double {
        zip(tasks, operators).reduce(0) { sum, pair in
            let target = pair.0.objective.target, found = pair.1.reconstruct()
            let error = Matrix64(rows: found.rows, columns: found.columns) { target[$0, $1] - Double(found[$0, $1]) }
            return sum + pair.0.objective.squaredNorm(of: MatrixOperand(error))
        }
    }

    static func squaredNorm(_ tasks: [CompressionTask]) -> Double {
        tasks.reduce(0) { $0 + $1.objective.squaredNorm(of: $1.objective.target) }
    }

    /// Least Σ‖(W_k − A C_k F) R‖² over A (m × r₂), F (r₃ × n) and all C_k found by plain alternation: each of the two
    /// factors in turn is the solution of its normal equations for the others as they are, without a word of
    /// orthonormality, HOSVD or whitening by a factor of the metric.
    static func alternatingOptimum(
        _ weights: [Matrix], moment: Matrix64, ranks: (rows: Int, columns: Int), sweeps: Int
    ) throws -> Double {
        let n = weights[0].columns
        var f: Matrix64 = CounterRandom(seed: 77).normalMatrix(rows: ranks.columns, columns: n)
        var a: Matrix64 = CounterRandom(seed: 78).normalMatrix(rows: weights[0].rows, columns: ranks.rows)
        let wide = weights.map { weight in Matrix64(rows: weight.rows, columns: n) { Double(weight[$0, $1]) } }
        var cores: [Matrix64] = []
        func fitCores() throws {
            let left = a.transposedProduct(a), right = (f * moment) * f.transposed
            cores = try wide.map { w in
                let b = a.transposedProduct((w * moment) * f.transposed)
                let half = try NormalEquations(gram: left, right: b).solution
                return try NormalEquations(gram: right, right: half.transposed).solution.transposed
            }
        }
        try fitCores()
        for _ in 0..<sweeps {
            // A from the B_k = C_k F: A Σ B_k G B_kᵀ = Σ W_k G B_kᵀ.
            var gram = Matrix64(rows: ranks.rows, columns: ranks.rows)
            var right = Matrix64(rows: a.rows, columns: ranks.rows)
            for (w, c) in zip(wide, cores) {
                let b = c * f
                gram = gram + (b * moment) * b.transposed
                right = right + (w * moment) * b.transposed
            }
            a = try NormalEquations(gram: gram, right: right.transposed).solution.transposed
            try fitCores()
            // F from the D_k = A C_k: Σ D_kᵀD_k F = Σ D_kᵀ W_k, whatever the metric.
            var left = Matrix64(rows: ranks.columns, columns: ranks.columns)
            var target = Matrix64(rows: ranks.columns, columns: n)
            for (w, c) in zip(wide, cores) {
                let d = a * c
                left = left + d.transposedProduct(d)
                target = target + d.transposedProduct(w)
            }
            f = try NormalEquations(gram: left, right: target).solution
            try fitCores()
        }
        return zip(wide, cores).reduce(0) { sum, pair in
            let error = pair.0 - (a * pair.1) * f
            return sum + zip((error * moment).elements, error.elements).reduce(0) { $0 + $1.0 * $1.1 }
        }
    }
}

extension Matrix64 {
    var transposed: Matrix64 { Matrix64(rows: columns, columns: rows) { self[$1, $0] } }

    static func * (left: Matrix64, right: Matrix64) -> Matrix64 {
        Matrix64(rows: left.rows, columns: right.columns) { i, j in
            (0..<left.columns).reduce(0) { $0 + left[i, $1] * right[$1, j] }
        }
    }

    static func + (left: Matrix64, right: Matrix64) -> Matrix64 {
        Matrix64(rows: left.rows, columns: left.columns) { left[$0, $1] + right[$0, $1] }
    }

    static func - (left: Matrix64, right: Matrix64) -> Matrix64 {
        Matrix64(rows: left.rows, columns: left.columns) { left[$0, $1] - right[$0, $1] }
    }

    func transposedProduct(_ other: Matrix64) -> Matrix64 { transposed * other }
}
