import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite struct RandomizedSVDTests {
    private func decompose(_ a: Matrix64, rank: Int, iterations: Int, oversampling: Int = 8) throws -> SVDResult {
        let route = TruncatedSVD.Route.randomized(oversampling: oversampling, powerIterations: iterations, seed: 3)
        return try TruncatedSVD(route: route).decompose(MatrixOperand(a), rank: rank)
    }

    @Test(arguments: SpectrumCase.all)
    func vectorsAreOrthonormalAndTheErrorIsTold(_ spectrum: SpectrumCase) throws {
        let values = spectrum.values(40)
        let a = matrix(rows: 60, columns: 40, spectrum: values)
        let result = try decompose(a, rank: 10, iterations: 3)
        #expect(departureFromOrthonormal(Matrix64(result.u)) <= 1e-5)
        #expect(departureFromOrthonormal(Matrix64(result.v)) <= 1e-5)
        #expect(result.singularValues.count == 18 && !result.evidence.spectrumIsComplete)
        let optimum = values.dropFirst(10).reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect(result.evidence.truncationError >= optimum * (1 - 1e-5) - 1e-5 * values[0])
        #expect(result.evidence.truncationError <= optimum * 1.1 + 1e-3 * values[0])
    }

    /// The estimate is no bound, but it must have the right size where there is an excess worth naming.
    @Test func theExcessIsEstimated() throws {
        let values = SpectrumCase.all[1].values(80).map { $0.squareRoot() }
        let a = matrix(rows: 90, columns: 80, spectrum: values)
        let optimum = values.dropFirst(10).reduce(0) { $0 + $1 * $1 }.squareRoot()
        for iterations in 1...3 {
            let result = try decompose(a, rank: 10, iterations: iterations, oversampling: 2)
            let excess = result.evidence.truncationError / optimum - 1
            let estimate = result.evidence.excessEstimate
            #expect(estimate < 5 * excess + 1e-5 && estimate > excess / 5 - 1e-5)
        }
        #expect(try decompose(a, rank: 10, iterations: 0).evidence.excessEstimate == .infinity)
    }

    @Test func aFullWidthIsExact() throws {
        let values = SpectrumCase.all[1].values(12)
        let result = try decompose(matrix(rows: 12, columns: 20, spectrum: values), rank: 12, iterations: 1)
        #expect(result.evidence.spectrumIsComplete)
        for (found, wanted) in zip(result.singularValues, values) { #expect((found - wanted).magnitude < 1e-6) }
    }
}
