import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

@Suite struct SVDCompressorTests {
    private let weight: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 24, columns: 36)

    private func compress(_ objective: Objective, _ budget: Budget) throws -> (FactorOperator, CompressionEvidence)? {
        let member = GroupMember(module: "m", outFeatures: 24, inFeatures: 36, factorType: .float32)
        let outcome = try SVDCompressor().compress([CompressionTask(member: member, objective: objective)], budget: budget)
        guard case .compressed(let compressed, let evidence) = outcome[0] else { return nil }
        return (try #require(compressed as? FactorOperator), evidence)
    }

    private func gram(of x: Matrix64) throws -> GramMetric {
        var moment = Matrix64(rows: x.rows, columns: x.rows)
        multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
        return try GramMetric(moment: moment)
    }

    @Test func plainTruncationReachesTheTailOfTheSpectrum() throws {
        let (compressed, evidence) = try #require(try compress(Objective(target: MatrixOperand(weight)), .rank(7)))
        let spectrum = try TruncatedSVD(route: .direct).spectrum(MatrixOperand(weight))
        let total = spectrum.reduce(0) { $0 + $1 * $1 }
        let tail = spectrum.dropFirst(7).reduce(0) { $0 + $1 * $1 }
        let error = relativeError(of: MatrixOperand(weight), replacedBy: compressed)
        #expect(abs(error - (tail / total).squareRoot()) < 1e-6)
        #expect(abs(try #require(evidence.energyKept) - (1 - tail / total)) < 1e-9)
    }

    @Test func factorsShareTheirSizeEvenly() throws {
        let (compressed, _) = try #require(try compress(Objective(target: MatrixOperand(weight)), .rank(5)))
        let a = try #require(compressed.a.operand()), b = try #require(compressed.b.operand())
        for index in 0..<5 {
            let left = sumOfSquares(a.columns(index..<index + 1)), right = sumOfSquares(b.rows(index..<index + 1))
            #expect(abs(left - right) < 1e-4 * left)
        }
    }

    /// No rank-r matrix may do better in the metric: perturbations of the optimum never improve it, and its error is the
    /// tail of the weighted spectrum.
    @Test func activationMetricIsMinimised() throws {
        let x: Matrix64 = CounterRandom(seed: 6).normalMatrix(rows: 36, columns: 80)
        let objective = Objective(target: MatrixOperand(weight), inputs: .gram(try gram(of: x)))
        let (compressed, _) = try #require(try compress(objective, .rank(6)))
        var outputs = Matrix64(rows: 24, columns: 80)
        multiply(MatrixOperand(weight), MatrixOperand(x), into: outputs.mutableView())
        let spectrum = try TruncatedSVD(route: .direct).spectrum(MatrixOperand(outputs))
        let tail = spectrum.dropFirst(6).reduce(0) { $0 + $1 * $1 }
        let found = compressed.reconstruct()
        let error = Matrix64(rows: 24, columns: 36) { Double(weight[$0, $1]) - Double(found[$0, $1]) }
        #expect(abs(objective.squaredNorm(of: MatrixOperand(error)) - tail) < 1e-5 * tail)
    }

    @Test func singularMomentsAreShiftedAndReported() throws {
        let x: Matrix64 = CounterRandom(seed: 7).normalMatrix(rows: 36, columns: 10)
        let objective = Objective(target: MatrixOperand(weight), inputs: .gram(try gram(of: x)))
        let (compressed, evidence) = try #require(try compress(objective, .rank(10)))
        #expect(try #require(evidence.shift) > 0)
        // Ten samples span ten directions: rank 10 reproduces the outputs.
        let found = compressed.reconstruct()
        var error = Matrix64(rows: 24, columns: 80)
        let difference = Matrix64(rows: 24, columns: 36) { Double(weight[$0, $1]) - Double(found[$0, $1]) }
        error = Matrix64(rows: 24, columns: 10)
        multiply(MatrixOperand(difference), MatrixOperand(x), into: error.mutableView())
        #expect(sumOfSquares(MatrixOperand(error)).squareRoot() < 1e-2)
    }

    /// Row weights: the problem scaled by hand is the oracle.
    @Test func outputWeightsAreHonoured() throws {
        let weights = (0..<24).map { 1 + Double($0) / 4 }
        let objective = Objective(target: MatrixOperand(weight), outputs: .diagonal(weights))
        let (compressed, _) = try #require(try compress(objective, .rank(6)))
        let scaled = Matrix64(rows: 24, columns: 36) { Double(weight[$0, $1]) * weights[$0] }
        let spectrum = try TruncatedSVD(route: .direct).spectrum(MatrixOperand(scaled))
        let tail = spectrum.dropFirst(6).reduce(0) { $0 + $1 * $1 }
        let found = compressed.reconstruct()
        let error = Matrix64(rows: 24, columns: 36) { Double(weight[$0, $1]) - Double(found[$0, $1]) }
        #expect(abs(objective.squaredNorm(of: MatrixOperand(error)) - tail) < 1e-5 * tail)
    }

    @Test func matricesThatWouldNotShrinkStayDense() throws {
        #expect(try compress(Objective(target: MatrixOperand(weight)), .rank(15)) == nil)
        #expect(try compress(Objective(target: MatrixOperand(weight)), .energy(1)) == nil)
        let size = try SVDCompressor().size(
            of: [GroupMember(module: "m", outFeatures: 24, inFeatures: 36, factorType: .bfloat16)], budget: .rank(14))
        #expect(size?[0].parameters == 840 && size?[0].tensors.map(\.shape) == [[14, 36], [24, 14]])
    }

    /// Rounding to bf16 adds up to 0.4 %: a bound that the truncation alone would just meet must still hold.
    @Test(arguments: [0.02, 0.05, 0.2])
    func errorBoundsHoldForTheNumbersAsWritten(bound: Double) throws {
        let a: Matrix = CounterRandom(seed: 8).normalMatrix(rows: 60, columns: 50)
        let decaying = Matrix(rows: 60, columns: 50) { i, j in
            (0..<50).reduce(Float(0)) { $0 + a[i, $1] * exp2(-Float($1) / 4) * a[j, $1] }
        }
        let member = GroupMember(module: "m", outFeatures: 60, inFeatures: 50, factorType: .bfloat16)
        let task = CompressionTask(member: member, objective: Objective(target: MatrixOperand(decaying)))
        guard case .compressed(let compressed, _) = try SVDCompressor().compress([task], budget: .error(bound))[0] else {
            Issue.record("kept dense")
            return
        }
        #expect(relativeError(of: MatrixOperand(decaying), replacedBy: compressed) <= bound)
    }

    @Test func aBoundBelowTheRoundingKeepsTheMatrixDense() throws {
        let member = GroupMember(module: "m", outFeatures: 24, inFeatures: 36, factorType: .bfloat16)
        let rankOne = Matrix(rows: 24, columns: 36) { Float($0 + 1) * Float($1 + 2) / 7 }
        let task = CompressionTask(member: member, objective: Objective(target: MatrixOperand(rankOne)))
        guard case .dense(let reason) = try SVDCompressor().compress([task], budget: .error(1e-5))[0] else {
            Issue.record("compressed")
            return
        }
        #expect(reason.contains("BF16"))
    }

    @Test func aZeroMatrixStaysZero() throws {
        let zero = Matrix(rows: 24, columns: 36)
        let (compressed, evidence) = try #require(try compress(Objective(target: MatrixOperand(zero)), .energy(0.9)))
        #expect(compressed.reconstruct() == zero && evidence.energyKept == 1 && compressed.rank == 1)
    }

    /// Sizes that are made together, of a matrix large enough for Float, are to the bit those that are made alone.
    @Test func sizesOfALargeMatrixAreThoseMadeAlone() throws {
        let side = TruncatedSVD.usualMixedSide
        let large: Matrix = CounterRandom(seed: 8).normalMatrix(rows: side + 60, columns: side)
        let member = GroupMember(module: "m", outFeatures: side + 60, inFeatures: side, factorType: .float32)
        let task = CompressionTask(member: member, objective: Objective(target: MatrixOperand(large)))
        let variants = [Budget.keep(0.2), .rank(40), .keep(0.7), .energy(0.5), .keep(0.1)].map {
            CompressionVariant(SVDCompressor(), budget: $0)
        }
        var together: [Int: CompressionOutcome] = [:]
        try SVDCompressor.compress([task], variants: variants) { together[$0] = $1[0] }
        for (index, variant) in variants.enumerated() {
            let outcome = try #require(together[index])
            let alone = try variant.compressor.compress([task], budget: variant.budget)[0]
            guard case .compressed(let left, let evidence) = outcome, case .compressed(let right, _) = alone else {
                Issue.record("\(variant.budget) is not compressed")
                continue
            }
            if case .energy = variant.budget {
                #expect(evidence.solver == "gram")
            } else {
                #expect(evidence.solver == "mixed")
            }
            let first = try #require(left as? FactorOperator), second = try #require(right as? FactorOperator)
            for (x, y) in [(first.a, second.a), (first.b, second.b)] {
                let (x, y) = (try #require(x.operand()), try #require(y.operand()))
                #expect(sumOfSquaredDifferences(x, y) == 0, "\(variant.budget)")
            }
        }
    }
}
