import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Safetensors
import Testing

@testable import SVDCompression

@Suite struct PivotOperatorTests {
    private func sample(m: Int, n: Int, r: Int, _ type: ElementType) -> PivotOperator {
        let pivot: Matrix = CounterRandom(seed: 1).normalMatrix(rows: r, columns: n)
        let rest: Matrix = CounterRandom(seed: 2).normalMatrix(rows: m - r, columns: r)
        let rows = (0..<r).map { $0 * m / r }
        return PivotOperator(pivot: MatrixOperand(pivot), rest: MatrixOperand(rest), rows: rows, storedAs: type)
    }

    @Test(arguments: [(5, 3, 2), (1, 7, 1), (33, 65, 17), (7, 7, 1)], [ElementType.float32, .bfloat16, .float16])
    func appliesWhatItReconstructs(shape: (m: Int, n: Int, r: Int), type: ElementType) {
        let compressed = sample(m: shape.m, n: shape.n, r: shape.r, type)
        let weight = compressed.reconstruct()
        for tokens in [1, 2, 40, 300] {
            let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: tokens, columns: shape.n)
            var y = Matrix(rows: tokens, columns: shape.m)
            compressed.apply(x.view, into: y.mutableView())
            for t in 0..<tokens {
                for i in 0..<shape.m {
                    let expected = (0..<shape.n).reduce(0.0) { $0 + Double(weight[i, $1]) * Double(x[t, $1]) }
                    #expect(abs(Double(y[t, i]) - expected) < 2e-4)
                }
            }
        }
    }

    @Test func storesEveryRowOnceAndReadsItBack() throws {
        let written = sample(m: 9, n: 6, r: 4, .bfloat16)
        let tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        let read = try PivotOperator(reading: OperatorSource(module: "m", entry: .object(written.entry)) { tensors[$0] })
        #expect(read.reconstruct() == written.reconstruct())
        // r(m + n − r) = 4 · 11 numbers, and four positions of four bytes.
        #expect(read.parameters == 44 && read.macs == 44 && read.bytes == 88 + 16)
        #expect(Set(tensors.keys) == ["m.pivot.weight", "m.rest.weight", "m.pivot.index"])
        #expect(try #require(tensors["m.pivot.index"]).array(of: Int32.self) == [0, 2, 4, 6])
    }

    @Test(arguments: [
        ([0, 2, 9], "position 9 is not below 9"), ([2, 0, 4], "position 0 does not follow 2"),
        ([0, 2, 2], "position 2 does not follow 2"), ([-1, 2, 3], "position -1 is not below 9"),
    ] as [([Int32], String)])
    func positionsThatMakeNoSenseAreRefused(positions: [Int32], reason: String) {
        let written = sample(m: 9, n: 6, r: 3, .float32)
        var tensors = Dictionary(uniqueKeysWithValues: written.tensors.map { ($0.fullName(in: "m"), $0.tensor) })
        tensors["m.pivot.index"] = StoredTensor(positions, dtype: .i32)
        #expect(throws: OperatorError.badIndex("m.pivot.index", reason)) {
            _ = try PivotOperator(reading: OperatorSource(module: "m", entry: ["rank": 3]) { tensors[$0] })
        }
    }
}

@Suite struct PivotStorageTests {
    /// A matrix whose singular values decay like those of trained weights.
    private func decaying(_ m: Int, _ n: Int) -> Matrix {
        let k = min(m, n)
        let left: Matrix = CounterRandom(seed: 11).normalMatrix(rows: m, columns: k)
        let right: Matrix = CounterRandom(seed: 12).normalMatrix(rows: k, columns: n)
        let scaled = Matrix(rows: m, columns: k) { left[$0, $1] / Float(1 + $1).squareRoot() }
        var result = Matrix(rows: m, columns: n)
        multiply(MatrixOperand(scaled), MatrixOperand(right), into: result.mutableView())
        return result
    }

    private func compress(
        _ objective: Objective, _ budget: Budget, _ storage: MethodSettings.Storage, _ type: ElementType
    ) throws -> (any LinearOperator, CompressionEvidence) {
        let target = objective.target
        let member = GroupMember(module: "m", outFeatures: target.rows, inFeatures: target.columns, factorType: type)
        let compressor = SVDCompressor(storage: storage)
        let outcome = try compressor.compress([CompressionTask(member: member, objective: objective)], budget: budget)
        guard case .compressed(let form, let evidence) = outcome[0] else { throw CompressionError.targetUnreachable("") }
        let planned = try #require(try compressor.size(of: [member], budget: budget)?[0])
        #expect(form.parameters <= max(planned.parameters, planned.alternative.reduce(0) { $0 + $1.elementCount }))
        #expect(form.bytes <= planned.bytes)
        if form.schema == planned.schema {
            #expect(form.tensors.map(\.tensor.shape) == planned.tensors.map(\.shape) && form.macs == planned.macs)
        }
        return (form, evidence)
    }

    @Test(arguments: [(64, 64, 0.8, 35), (64, 172, 0.5, 26), (4096, 4096, 0.5, 1199), (8, 8, 0.01, 1), (5, 7, 1, 5)])
    func keepIsTheLargestRankThatFits(m: Int, n: Int, keep: Double, rank: Int) throws {
        let rule = RankRule(rows: m, columns: n, storage: .pivot)
        #expect(rule.rank(for: .keep(keep)) == rank)
        if rank > 1, rank < min(m, n) {
            #expect(Double(rule.numbers(rank)) <= keep * Double(m * n))
            #expect(Double(rule.numbers(rank + 1)) > keep * Double(m * n))
        }
    }

    /// At equal rank nothing is lost: the same matrix, in fewer numbers.
    @Test func itIsLosslessInFloat() throws {
        let objective = Objective(target: MatrixOperand(decaying(48, 40)))
        let (pivot, _) = try compress(objective, .rank(9), .pivot, .float32)
        let (factors, _) = try compress(objective, .rank(9), .factors, .float32)
        let difference = sumOfSquaredDifferences(
            MatrixOperand(pivot.reconstruct()), MatrixOperand(factors.reconstruct()))
        #expect(difference.squareRoot() < 1e-5 * sumOfSquares(MatrixOperand(factors.reconstruct())).squareRoot())
        #expect(factors.parameters - pivot.parameters == 81)
    }

    @Test(arguments: [0.25, 0.5, 0.8], [ElementType.float32, .bfloat16, .float16])
    func atEqualSizeItIsNeverWorseThanFactors(keep: Double, type: ElementType) throws {
        for (m, n) in [(64, 64), (40, 96), (97, 31)] {
            let objective = Objective(target: MatrixOperand(decaying(m, n)))
            let (pivot, _) = try compress(objective, .keep(keep), .pivot, type)
            let (factors, _) = try compress(objective, .keep(keep), .factors, type)
            let error = objective.relativeError(of: pivot), other = objective.relativeError(of: factors)
            // At equal rank in Float they differ by rounding alone.
            #expect(error <= other * (type == .float32 ? 1 + 1e-6 : 1))
            let rank = try #require(pivot.entry["rank"]?.int), otherRank = try #require(factors.entry["rank"]?.int)
            if type == .float32, rank > otherRank { #expect(pivot.schema == "PivotLinear" && error < other) }
            if type == .float32, keep > 0.4 { #expect(rank > otherRank) }
        }
    }

    /// The fit to the rounded rows is least squares: the residual is orthogonal to the rows in the metric, and no small
    /// change of C is better.
    @Test(arguments: [false, true])
    func coefficientsAreFittedToTheRoundedRows(hasOutputMetric: Bool) throws {
        let x: Matrix64 = CounterRandom(seed: 6).normalMatrix(rows: 20, columns: 50)
        let y: Matrix64 = CounterRandom(seed: 7).normalMatrix(rows: 30, columns: 70)
        var inputs = Matrix64(rows: 20, columns: 20), outputs = Matrix64(rows: 30, columns: 30)
        multiplyByTranspose(MatrixOperand(x), into: inputs.mutableView())
        multiplyByTranspose(MatrixOperand(y), into: outputs.mutableView())
        let objective = Objective(
            target: MatrixOperand(decaying(30, 20)), inputs: .gram(try GramMetric(moment: inputs)),
            outputs: hasOutputMetric ? .gram(try GramMetric(moment: outputs)) : .identity)
        let problem = WhitenedProblem(objective)
        let svd = try problem.decompose { try TruncatedSVD(route: .direct).decompose($0, rank: 6) }
        let (a, b) = problem.basis(of: svd, rank: 6)
        let fitted = try PivotForm(RowChoice(of: a), b: b, objective: objective, storedAs: .bfloat16)
        let form = fitted.form
        let pivots = form.index.array(of: Int32.self).map { Int($0) }
        let rows = try #require(form.pivot.operand())
        func loss(_ c: Matrix) -> Double {
            let exact = PivotOperator(pivot: rows, rest: MatrixOperand(c), rows: pivots, storedAs: .float32)
            let found = exact.reconstruct()
            let error = Matrix64(rows: 30, columns: 20) { objective.target[$0, $1] - Double(found[$0, $1]) }
            return objective.squaredNorm(of: MatrixOperand(error))
        }
        let c = fitted.unroundedCoefficients
        let best = loss(c)
        for seed in 0..<20 {
            let change: Matrix = CounterRandom(seed: 100 + UInt64(seed)).normalMatrix(rows: 24, columns: 6)
            for scale in [Float(0.01), -0.01] {
                #expect(loss(Matrix(rows: 24, columns: 6) { c[$0, $1] + scale * change[$0, $1] }) > best)
            }
        }
    }

    @Test func roundingIsReportedAndTheFallbackSaysWhy() throws {
        // A fast decay: what bf16 adds outweighs the further ranks, so plain factors win.
        let left: Matrix = CounterRandom(seed: 21).normalMatrix(rows: 64, columns: 64)
        let q = try HouseholderQR(left.view).thinQ()
        let scaled = Matrix(rows: 64, columns: 64) { q[$0, $1] * exp2(-Float($1)) }
        var fast = Matrix(rows: 64, columns: 64)
        multiply(MatrixOperand(scaled), MatrixOperand(q).transposed, into: fast.mutableView())
        let objective = Objective(target: MatrixOperand(fast))
        let (form, evidence) = try compress(objective, .keep(0.5), .pivot, .bfloat16)
        let (factors, _) = try compress(objective, .keep(0.5), .factors, .bfloat16)
        #expect(objective.relativeError(of: form) <= objective.relativeError(of: factors))
        #expect(try #require(evidence.roundingError) > 0)
        if form.schema == "ABLinear" {
            let error = try #require(evidence.details["pivot_storage_error"]?.double)
            #expect(error > objective.relativeError(of: form))
        } else {
            #expect(try #require(evidence.details["largest_coefficient"]?.double) >= 0)
        }
    }

    @Test(arguments: [0.05, 0.2])
    func errorBoundsHoldForTheNumbersAsWritten(bound: Double) throws {
        let objective = Objective(target: MatrixOperand(decaying(60, 50)))
        let member = GroupMember(module: "m", outFeatures: 60, inFeatures: 50, factorType: .bfloat16)
        let task = CompressionTask(member: member, objective: objective)
        switch try SVDCompressor(storage: .pivot).compress([task], budget: .error(bound))[0] {
        case .compressed(let form, _): #expect(objective.relativeError(of: form) <= bound)
        case .dense(let reason): #expect(bound < 0.1 && !reason.isEmpty)
        }
    }

    @Test func aZeroMatrixStaysZero() throws {
        let (form, _) = try compress(Objective(target: MatrixOperand(Matrix(rows: 24, columns: 36))), .keep(0.5), .pivot, .bfloat16)
        #expect(form.reconstruct() == Matrix(rows: 24, columns: 36))
    }
}
