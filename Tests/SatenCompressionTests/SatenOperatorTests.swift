import CompressionCore
import MatrixCore
import SVDCompression
import Safetensors
import Testing

@testable import SatenCompression

@Suite struct SatenOperatorTests {
    private static let patterns = [SatenPattern.topk, .groups(kept: 2, of: 4), .groups(kept: 1, of: 4)]

    private func compressed(
        _ m: Int, _ n: Int, _ pattern: SatenPattern, _ type: ElementType, density: Double = 0.3
    ) -> SatenOperator {
        let a: Matrix = CounterRandom(seed: 1).normalMatrix(rows: m, columns: 2)
        let b: Matrix = CounterRandom(seed: 2).normalMatrix(rows: 2, columns: n)
        let lowRank = FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: type)
        let error: Matrix = CounterRandom(seed: 3).normalMatrix(rows: m, columns: n)
        let count = pattern.entries(rows: m, columns: n) ?? max(1, Int(density * Double(m * n)))
        let objective = Objective(target: MatrixOperand(error))
        let positions = SparseSelection(pattern: pattern, count: count, objective: objective).positions(in: error)
        let values = SparseFit(positions: positions, objective: objective).values(for: error)
        return SatenOperator(lowRank, pattern, positions, values: values, storedAs: type)
    }

    private func reread(_ written: SatenOperator) throws -> SatenOperator {
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        return try SatenOperator(reading: OperatorSource(module: "m", entry: .object(written.entry)) { tensors[$0] })
    }

    @Test(arguments: [(5, 4), (1, 8), (33, 68), (130, 100)], [ElementType.float32, .bfloat16, .float16])
    func appliesWhatItReconstructs(size: (m: Int, n: Int), type: ElementType) {
        for pattern in Self.patterns {
            let compressed = compressed(size.m, size.n, pattern, type)
            let weight = compressed.reconstruct()
            let norm = weight.elements.reduce(0.0) { $0 + Double($1 * $1) }.squareRoot()
            for tokens in [1, 2, 40, 300] {
                let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: tokens, columns: size.n)
                var y = Matrix(rows: tokens, columns: size.m) { _, _ in .nan }
                compressed.apply(x.view, into: y.mutableView())
                var worst = 0.0
                for t in Set([0, tokens / 2, tokens - 1]) {
                    for i in 0..<size.m {
                        let expected = (0..<size.n).reduce(0.0) { $0 + Double(weight[i, $1]) * Double(x[t, $1]) }
                        worst = max(worst, abs(Double(y[t, i]) - expected))
                    }
                }
                #expect(worst < 1e-5 * max(norm, 1))
            }
        }
    }

    @Test(arguments: patterns, [ElementType.float32, .bfloat16, .float16])
    func readsBackWhatItStores(pattern: SatenPattern, type: ElementType) throws {
        for (m, n) in [(1, 4), (13, 8), (30, 20)] {
            for density in [0.01, 0.3] {
                let written = compressed(m, n, pattern, type, density: density)
                let read = try reread(written)
                #expect(read.reconstruct() == written.reconstruct() && read.macs == written.macs)
                #expect(read.tensors.map(\.name) == written.tensors.map(\.name))
                #expect(read.entry == written.entry && read.bytes == written.bytes)
                #expect(written.parameters == 2 * (m + n) + written.entries)
            }
        }
    }

    @Test func reconstructsLowRankPlusSparse() {
        let error = Matrix(rows: 2, columns: 4, elements: [0, 5, 0, 0, -7, 0, 0, 0])
        let lowRank = FactorOperator(
            a: MatrixOperand(Matrix(rows: 2, columns: 1, elements: [1, 2])),
            b: MatrixOperand(Matrix(rows: 1, columns: 4, elements: [1, 1, 1, 0])), storedAs: .float32)
        let positions = SparseSelection(
            pattern: .topk, count: 2, objective: Objective(target: MatrixOperand(error))
        ).positions(in: error)
        let compressed = SatenOperator(lowRank, .topk, positions, values: [5, -7], storedAs: .float32)
        #expect(compressed.reconstruct().elements == [1, 6, 1, 0, -5, 2, 2, 0])
        #expect(compressed.withoutSparsePart(MatrixOperand(error)) == Matrix(rows: 2, columns: 4))
        #expect(compressed.macs == 8 && compressed.parameters == 8)
        #expect(
            compressed.tensors.map(\.name) == ["BLinear.weight", "ALinear.weight", "sparse.values", "sparse.bitmap"])
    }

    @Test func malformedEntriesAreErrors() {
        let written = compressed(6, 8, .groups(kept: 2, of: 4), .float32)
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        let part: JSON = ["schema": "ABLinear", "rank": 2]
        let cases: [JSON] = [
            ["low_rank": part, "pattern": "2:4"],
            ["low_rank": part, "pattern": "2:4", "nnz": 23],
            ["low_rank": part, "pattern": "4:2", "nnz": 24],
            ["low_rank": part, "pattern": "2:3", "nnz": 24],
            ["low_rank": part, "pattern": "topk", "nnz": 24],
            ["low_rank": part, "pattern": "topk", "nnz": 49],
            ["low_rank": part, "nnz": 24],
            ["pattern": "2:4", "nnz": 24],
            ["low_rank": ["rank": 2], "pattern": "2:4", "nnz": 24],
            ["low_rank": ["schema": "ABLinear", "rank": 3], "pattern": "2:4", "nnz": 24],
            ["low_rank": ["schema": "SatenLinear", "rank": 2], "pattern": "2:4", "nnz": 24],
        ]
        for entry in cases {
            #expect(throws: OperatorError.self, "\(entry)") {
                _ = try SatenOperator(reading: OperatorSource(module: "m", entry: entry) { tensors[$0] })
            }
        }
        let good: JSON = ["low_rank": part, "pattern": "2:4", "nnz": 24]
        for missing in tensors.keys {
            #expect(throws: OperatorError.missingTensor(missing)) {
                _ = try SatenOperator(
                    reading: OperatorSource(module: "m", entry: good) { $0 == missing ? nil : tensors[$0] })
            }
        }
    }
}
