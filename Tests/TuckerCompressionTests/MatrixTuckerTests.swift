import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import TuckerCompression

@Suite struct MatrixTuckerTests {
    /// LAPACK-free oracle: the tail of the directly computed spectrum.
    private func tail(_ matrix: MatrixOperand, rank: Int) throws -> Double {
        let spectrum = try TruncatedSVD(route: .direct).spectrum(matrix)
        return spectrum.dropFirst(rank).reduce(0) { $0 + $1 * $1 }
    }

    @Test(arguments: [(24, 36, 5), (36, 24, 5), (31, 31, 1), (64, 17, 6)])
    func plainFormIsTheTruncatedSVD(m: Int, n: Int, rank: Int) throws {
        let tasks = TuckerOracle.tasks([TuckerOracle.random(m, n, seed: 1)])
        let found = try TuckerOracle.operators(tasks, .rank(rank))
        let optimum = try tail(tasks[0].objective.target, rank: rank)
        #expect(abs(TuckerOracle.squaredError(tasks, found) - optimum) < 1e-5 * optimum)
        #expect(found[0].entry["ranks"] == [.init(rank), .init(rank)])
        #expect(found[0].macs == rank * (m + n + rank) && found[0].parameters == rank * (m + n + rank))
    }

    @Test func bothMetricsAreHonoured() throws {
        let weight = TuckerOracle.random(20, 28, seed: 2)
        let inputs = try TuckerOracle.gram(28, samples: 60, seed: 3)
        let outputs = try TuckerOracle.gram(20, samples: 50, seed: 4)
        let tasks = TuckerOracle.tasks([weight], inputs: [.gram(inputs)], outputs: [.gram(outputs)])
        let found = try TuckerOracle.operators(tasks, .rank(4))
        let wide = Matrix64(rows: 20, columns: 28) { Double(weight[$0, $1]) }
        let whitened = outputs.root.transposed * wide * inputs.root
        let optimum = try tail(MatrixOperand(whitened), rank: 4)
        #expect(abs(TuckerOracle.squaredError(tasks, found) - optimum) < 1e-4 * optimum)
    }

    @Test func diagonalWeightsAreHonoured() throws {
        let weight = TuckerOracle.random(20, 28, seed: 5)
        let inputs = (0..<28).map { 0.1 + Double($0 % 5) }, outputs = (0..<20).map { 1 + Double($0) / 4 }
        let tasks = TuckerOracle.tasks([weight], inputs: [.diagonal(inputs)], outputs: [.diagonal(outputs)])
        let found = try TuckerOracle.operators(tasks, .rank(5))
        let scaled = Matrix64(rows: 20, columns: 28) { Double(weight[$0, $1]) * outputs[$0] * inputs[$1] }
        let optimum = try tail(MatrixOperand(scaled), rank: 5)
        #expect(abs(TuckerOracle.squaredError(tasks, found) - optimum) < 1e-5 * optimum)
    }

    /// Ten samples span ten directions of 36: rank 10 reproduces the outputs, and what no sample saw stays tame.
    @Test func aSingularGramMatrixDoesNoHarm() throws {
        let weight = TuckerOracle.random(48, 36, seed: 6)
        let gram = try TuckerOracle.gram(36, samples: 10, seed: 7)
        let tasks = TuckerOracle.tasks([weight], inputs: [.gram(gram)])
        let outcome = try TuckerOracle.compressor().compress(tasks, budget: .rank(10))
        guard case .compressed(let found, let evidence) = outcome[0] else {
            throw TuckerOracle.Unexpected(reason: "dense")
        }
        #expect(try #require(evidence.shift) > 0)
        #expect(TuckerOracle.squaredError(tasks, [found]) < 1e-8 * TuckerOracle.squaredNorm(tasks))
        #expect(sumOfSquares(MatrixOperand(found.reconstruct())) < 4 * sumOfSquares(MatrixOperand(weight)))
    }

    @Test(arguments: [ElementType.bfloat16, .float16])
    func theCoreMakesUpForRoundedFactors(type: ElementType) throws {
        let weight = TuckerOracle.related(count: 1, rows: 60, columns: 80, seed: 8)[0]
        let tasks = TuckerOracle.tasks([weight], type: type)
        let outcome = try TuckerOracle.compressor().compress(tasks, budget: .rank(6))
        guard case .compressed(let found, let evidence) = outcome[0] else {
            throw TuckerOracle.Unexpected(reason: "dense")
        }
        let error = tasks[0].objective.relativeError(of: found)
        let optimum = 1 - (evidence.energyKept ?? 0)
        #expect(error * error - optimum < pow(type.epsilon, 2))
        #expect(try #require(evidence.roundingError) < type.epsilon)
        #expect(found.tensors.allSatisfy { $0.tensor.dtype.elementType == type })
    }

    @Test(arguments: [0.3, 0.6, 0.9])
    func energyIsKeptByTheSmallestRank(share: Double) throws {
        let a = TuckerOracle.random(60, 60, seed: 9)
        let weight = Matrix(rows: 60, columns: 50) { i, j in
            (0..<50).reduce(Float(0)) { $0 + a[i, $1] * exp2(-Float($1) / 3) * a[j, $1] }
        }
        let tasks = TuckerOracle.tasks([weight])
        let found = try TuckerOracle.operators(tasks, .energy(share))
        let rank = try #require(found[0].entry["ranks"]?.array?[0].int)
        let total = sumOfSquares(MatrixOperand(weight))
        #expect(try tail(MatrixOperand(weight), rank: rank) <= (1 - share) * total)
        #expect(try rank == 1 || tail(MatrixOperand(weight), rank: rank - 1) > (1 - share) * total * (1 - 1e-6))
    }

    @Test(arguments: [ElementType.float32, .bfloat16], [0.02, 0.1, 0.4])
    func errorBoundsHoldForTheNumbersAsWritten(type: ElementType, bound: Double) throws {
        let a = TuckerOracle.random(80, 60, seed: 10)
        let weight = Matrix(rows: 80, columns: 60) { i, j in
            (0..<60).reduce(Float(0)) { $0 + a[i, $1] * exp2(-Float($1) / 2) * a[j, $1] }
        }
        let tasks = TuckerOracle.tasks([weight], type: type)
        let found = try TuckerOracle.operators(tasks, .error(bound))
        #expect(tasks[0].objective.relativeError(of: found[0]) <= bound)
    }

    @Test func aMatrixThatWouldNotShrinkStaysDense() throws {
        let tasks = TuckerOracle.tasks([TuckerOracle.random(24, 24, seed: 11)])
        for budget in [Budget.rank(10), .keep(1), .energy(1), .error(1e-6)] {
            guard case .dense(let reason) = try TuckerOracle.compressor().compress(tasks, budget: budget)[0] else {
                if budget == .keep(1) { continue }
                Issue.record("compressed at \(budget)")
                continue
            }
            #expect(reason.contains("numbers"))
        }
    }

    @Test(arguments: [Float(0), 1, 1e-30, 1e30])
    func extremeSizesAndZeroStayWhatTheyAre(size: Float) throws {
        let weight = Matrix(rows: 24, columns: 30) { size * Float($0 + 1) * Float($1 % 3 - 1) }
        let tasks = TuckerOracle.tasks([weight])
        let found = try TuckerOracle.operators(tasks, .rank(3))
        #expect(tasks[0].objective.relativeError(of: found[0]) < 1e-5)
    }

    @Test func notANumberIsAnError() throws {
        var weight = TuckerOracle.random(24, 30, seed: 12)
        weight[3, 4] = .nan
        let tasks = TuckerOracle.tasks([weight])
        #expect(throws: LinearAlgebraError.nonFinite(row: 3, column: 4)) {
            _ = try TuckerOracle.compressor().compress(tasks, budget: .rank(3))
        }
    }
}
