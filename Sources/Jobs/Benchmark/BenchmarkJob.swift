import CommandLineKit
import Kernels
import LinearAlgebra
import MatrixCore

/// Times operations on this machine and holds them against what it can do at best.
public struct BenchmarkJob: Sendable {
    /// What is timed where nothing is asked for: each kind of work once, within some seconds.
    public static let defaultCases = [
        BenchmarkCase(.gemm, sides: [1024], type: .float32), BenchmarkCase(.gemm, sides: [2048], type: .float32),
        BenchmarkCase(.gemm, sides: [1024], type: .float64), BenchmarkCase(.syrk, sides: [1024, 4096], type: .bfloat16),
        BenchmarkCase(.gemv, sides: [4096, 11008], type: .bfloat16),
        BenchmarkCase(.eigen, sides: [512], type: .float64),
        BenchmarkCase(.svd, sides: [1024, 1024, 256], type: .float32),
    ].compactMap { $0 }

    public var cases: [BenchmarkCase]
    /// Timed runs of each, after one that is not timed; the fastest counts.
    public var repetitions: Int

    public init(cases: [BenchmarkCase], repetitions: Int) {
        self.cases = cases
        self.repetitions = repetitions
    }

    public func run(
        seed: UInt64, progress: any ProgressReporter, interruption: Interruption
    ) throws -> BenchmarkReport {
        progress.begin(ProgressStage("bench", total: cases.count + 1, unit: .items("operations")))
        defer { progress.end() }
        let peak = PeakMeasurement.measure()
        progress.advance(by: 1, "peak")
        var results: [BenchmarkResult] = []
        for item in cases {
            try interruption.check()
            var work = try BenchmarkWork(item, seed: seed)
            try work.run()
            var fastest = Double.infinity
            for _ in 0..<repetitions {
                try interruption.check()
                let watch = Stopwatch()
                try work.run()
                fastest = min(fastest, watch.seconds)
            }
            results.append(BenchmarkResult(item: item, seconds: fastest, stages: work.stages))
            progress.advance(by: 1, item.operation.rawValue)
        }
        return BenchmarkReport(peak: peak, results: results)
    }
}

/// One case with its operands, ready to be run again and again.
private struct BenchmarkWork {
    private let item: BenchmarkCase
    private let a: MatrixOperand
    private let b: MatrixOperand
    private let symmetric: Matrix64
    private var single: Matrix
    private var double: Matrix64
    /// Seconds of each stage of the latest run.
    private(set) var stages: [(name: String, seconds: Double)] = []

    init(_ item: BenchmarkCase, seed: UInt64) throws {
        self.item = item
        let depth = item.operation == .svd ? item.n : item.k
        let isEigen = item.operation == .eigen
        a = Self.operand(isEigen ? 0 : item.m, depth, item.type, CounterRandom(seed: seed, stream: 0))
        let needsB = item.operation == .gemm || item.operation == .gemv
        let typeOfB = item.operation == .gemm ? item.type : item.arithmetic
        b = Self.operand(needsB ? item.k : 0, item.n, typeOfB, CounterRandom(seed: seed, stream: 1))
        let random = CounterRandom(seed: seed, stream: 2)
        symmetric = Matrix64(rows: isEigen ? item.n : 0, columns: isEigen ? item.n : 0) { i, j in
            random.uniform(max(i, j) * item.n + min(i, j)) - 0.5
        }
        let isProduct = item.operation == .syrk || needsB
        let usesDouble = isProduct && item.arithmetic == .float64
        single = Matrix(rows: isProduct && !usesDouble ? item.m : 0, columns: item.n)
        double = Matrix64(rows: usesDouble ? item.m : 0, columns: item.n)
    }

    private static func operand(
        _ rows: Int, _ columns: Int, _ type: ElementType, _ random: CounterRandom
    ) -> MatrixOperand {
        let source = Matrix64(rows: rows, columns: columns) { random.uniform($0 * columns + $1) - 0.5 }
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: rows * columns * type.bytes)
        let target = MutableMatrixOperand(
            base: buffer.base, type: type, rows: rows, columns: columns, rowStride: columns, owner: buffer)
        convert(MatrixOperand(source), into: target)
        return MatrixOperand(
            base: buffer.base, type: type, rows: rows, columns: columns, rowStride: columns, owner: buffer)
    }

    mutating func run() throws {
        switch item.operation {
        case .gemm, .gemv:
            if item.arithmetic == .float64 {
                multiply(a, b, into: double.mutableView())
            } else {
                multiply(a, b, into: single.mutableView())
            }
        case .syrk:
            multiplyByTranspose(a, into: double.mutableView())
        case .svd:
            stages = try TruncatedSVD().decompose(a, rank: item.k).evidence.stages.map { ($0.name, $0.seconds) }
        case .eigen:
            let result = try SymmetricEigen().decompose(symmetric, vectors: item.k)
            stages = result.evidence.stages.map { ($0.name, $0.seconds) }
        }
    }
}
