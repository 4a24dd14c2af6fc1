import CompressionCore
import Foundation
import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import SVDCompression

/// Matrices that are stored as factors already, truncated from these.
@Suite struct FurtherTruncationTests {
    private static let rows = 40, columns = 56, rank = 9

    /// σ of the product, by construction.
    private static let spectrum = (0..<rank).map { 8 * exp2(-Double($0) * 0.7) }

    /// Orthonormal columns (size × rank).
    private func basis(_ size: Int, seed: UInt64) throws -> Matrix64 {
        let random: Matrix64 = CounterRandom(seed: seed).normalMatrix(rows: size, columns: Self.rank)
        return try HouseholderQR(random.view).thinQ()
    }

    /// U S G · G⁻¹ Vᵀ with a G that scales components apart by up to 2¹⁶ and mixes two of them.
    private func factors() throws -> Factors {
        let u = try basis(Self.rows, seed: 1), v = try basis(Self.columns, seed: 2)
        func scale(_ k: Int) -> Double { exp2(Double(2 * k) - 8) }
        let left = Matrix64(rows: Self.rows, columns: Self.rank) { i, k in
            let own = u[i, k] * Self.spectrum[k] * scale(k)
            return k == 1 ? own + 3 * u[i, 0] * Self.spectrum[0] * scale(0) : own
        }
        let right = Matrix64(rows: Self.rank, columns: Self.columns) { k, j in
            let own = v[j, k] / scale(k)
            return k == 0 ? own - 3 * v[j, 1] / scale(1) : own
        }
        return Factors(left: MatrixOperand(left), right: MatrixOperand(right))
    }

    private func dense(_ factors: Factors) -> Matrix64 {
        Matrix64(rows: factors.left.rows, columns: factors.right.columns) { i, j in
            (0..<factors.rank).reduce(0) { $0 + factors.left[i, $1] * factors.right[$1, j] }
        }
    }

    private func compress(
        _ objective: Objective, _ budget: Budget, storage: MethodSettings.Storage = .factors
    ) throws -> CompressionOutcome {
        let stored = GroupMember.StoredFactors(rank: Self.rank, parameters: Self.rank * (Self.rows + Self.columns))
        let member = GroupMember(
            module: "m", outFeatures: Self.rows, inFeatures: Self.columns, factorType: .float32, stored: stored)
        return try SVDCompressor(storage: storage).compress(
            [CompressionTask(member: member, objective: objective)], budget: budget)[0]
    }

    @Test(arguments: [1, 4, 8])
    func theErrorIsTheTailOfTheSpectrum(rank: Int) throws {
        let factors = try factors(), target = dense(factors)
        let outcome = try compress(Objective(target: MatrixOperand(target), factors: factors), .rank(rank))
        guard case .compressed(let found, let evidence) = outcome else {
            Issue.record("not compressed")
            return
        }
        let tail = Self.spectrum.dropFirst(rank).reduce(0) { $0 + $1 * $1 }
        let total = Self.spectrum.reduce(0) { $0 + $1 * $1 }
        let error = relativeError(of: MatrixOperand(target), replacedBy: found)
        #expect(abs(error - (tail / total).squareRoot()) < 1e-6)
        #expect(abs((evidence.energyKept ?? 0) - (1 - tail / total)) < 1e-9)
        #expect((evidence.roundingError ?? 1) < 1e-6)
    }

    @Test func theDecompositionIsThatOfTheProduct() throws {
        let factors = try factors()
        let product = try ProductDecomposition(factors)
        let svd = product.expand(try TruncatedSVD().decompose(MatrixOperand(product.core), rank: 5))
        #expect(svd.singularValues.count == Self.rows)
        for (found, expected) in zip(svd.singularValues, Self.spectrum) { #expect(abs(found - expected) < 1e-6) }
        #expect(svd.singularValues.dropFirst(Self.rank).allSatisfy { $0 == 0 })
        let u = try basis(Self.rows, seed: 1), v = try basis(Self.columns, seed: 2)
        for k in 0..<5 {
            let left = (0..<Self.rows).reduce(0) { $0 + u[$1, k] * Double(svd.u[$1, k]) }
            let right = (0..<Self.columns).reduce(0) { $0 + v[$1, k] * Double(svd.v[$1, k]) }
            #expect(abs(abs(left) - 1) < 1e-5 && abs(left - right) < 1e-5)
        }
    }

    /// In a metric, the route over the factors finds what the one over the dense matrix finds.
    @Test func metricsWeighTheFactors() throws {
        let factors = try factors(), target = dense(factors)
        let x: Matrix64 = CounterRandom(seed: 6).normalMatrix(rows: Self.columns, columns: 90)
        var moment = Matrix64(rows: Self.columns, columns: Self.columns)
        multiplyByTranspose(MatrixOperand(x), into: moment.mutableView())
        let inputs = Metric.gram(try GramMetric(moment: moment))
        let outputs = Metric.diagonal((0..<Self.rows).map { 1 + Double($0) / 8 })
        let objectives = [factors, nil].map {
            Objective(target: MatrixOperand(target), factors: $0, inputs: inputs, outputs: outputs)
        }
        let errors = try objectives.map { objective in
            guard case .compressed(let found, _) = try compress(objective, .rank(3)) else { return Double.nan }
            return objective.relativeError(of: found)
        }
        #expect(abs(errors[0] - errors[1]) < 1e-6 * errors[1])
    }

    @Test func whatWouldNotShrinkStaysAsItIs() throws {
        let factors = try factors()
        let objective = Objective(target: MatrixOperand(dense(factors)), factors: factors)
        for budget in [Budget.rank(9), .rank(30), .keep(0.9), .energy(1)] {
            guard case .dense(let reason) = try compress(objective, budget) else {
                Issue.record("\(budget) compressed")
                continue
            }
            #expect(reason.contains("rank 9 that the matrix has"))
        }
        // Pivot storage has fewer numbers at the same rank, and loses nothing.
        guard case .compressed(let pivot, _) = try compress(objective, .rank(9), storage: .pivot) else {
            Issue.record("pivot storage is smaller")
            return
        }
        #expect(pivot.schema == PivotOperator.schema)
        #expect(objective.relativeError(of: pivot) < 1e-5)
    }

    @Test func anotherTargetForgetsTheFactors() throws {
        let factors = try factors()
        var objective = Objective(target: MatrixOperand(dense(factors)), factors: factors)
        objective.target = MatrixOperand(Matrix64(rows: Self.rows, columns: Self.columns))
        #expect(objective.factors == nil)
    }

    @Test(arguments: [FactorOperator.schema, PivotOperator.schema])
    func operatorsAreTheProductOfTheirFactors(schema: String) throws {
        let a: Matrix = CounterRandom(seed: 3).normalMatrix(rows: 13, columns: 4)
        let b: Matrix = CounterRandom(seed: 4).normalMatrix(rows: 4, columns: 11)
        let rest: Matrix = CounterRandom(seed: 5).normalMatrix(rows: 9, columns: 4)
        let form: any FactoredOperator =
            schema == FactorOperator.schema
            ? FactorOperator(a: MatrixOperand(a), b: MatrixOperand(b), storedAs: .bfloat16)
            : PivotOperator(
                pivot: MatrixOperand(b), rest: MatrixOperand(rest), rows: [0, 3, 7, 12], storedAs: .bfloat16)
        let product = dense(form.factors), expected = form.reconstruct()
        for i in 0..<13 { for j in 0..<11 { #expect(abs(product[i, j] - Double(expected[i, j])) < 1e-5) } }
    }
}
