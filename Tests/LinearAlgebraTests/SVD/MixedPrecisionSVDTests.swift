import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

/// The route in Float, forced at small sizes: what it promises where it is taken, and that it is not taken elsewhere.
@Suite struct MixedPrecisionSVDTests {
    private static let svd: TruncatedSVD = {
        var svd = TruncatedSVD()
        svd.smallestMixedSide = 1
        return svd
    }()

    private static func svd(for purpose: TruncatedSVD.Purpose) -> TruncatedSVD {
        var svd = svd
        svd.purpose = purpose
        return svd
    }

    private func normal(_ rows: Int, _ columns: Int) -> Matrix {
        CounterRandom(seed: 11).normalMatrix(rows: rows, columns: columns)
    }

    private func excess(of result: SVDResult, _ a: Matrix, _ spectrum: [Double]) -> Double {
        let left = Matrix64(rows: a.rows, columns: result.rank) { Double(result.u[$0, $1]) * result.singularValues[$1] }
        var square = 0.0
        for i in 0..<a.rows {
            for j in 0..<a.columns {
                let product = (0..<result.rank).reduce(0.0) { $0 + left[i, $1] * Double(result.v[j, $1]) }
                square += (Double(a[i, j]) - product) * (Double(a[i, j]) - product)
            }
        }
        let optimum = spectrum.dropFirst(result.rank).reversed().reduce(0) { $0 + $1 * $1 }
        return (square / optimum).squareRoot() - 1
    }

    @Test(arguments: [(150, 90, 30), (90, 150, 30), (129, 129, 1), (200, 70, 60), (66, 65, 40)])
    func wideSpectraAreDecomposedInFloat(_ rows: Int, _ columns: Int, _ rank: Int) throws {
        let a = normal(rows, columns)
        let spectrum = JacobiOracle(Matrix64(a)).singularValues
        let result = try Self.svd.decompose(MatrixOperand(a), rank: rank)
        #expect(result.evidence.solver == .mixed)
        #expect(departureFromOrthonormal(Matrix64(result.u)) <= 1e-5)
        #expect(departureFromOrthonormal(Matrix64(result.v)) <= 1e-5)
        #expect(result.singularValues.count == spectrum.count)
        for (j, (found, wanted)) in zip(result.singularValues, spectrum).enumerated() {
            if j < rank { #expect((found - wanted).magnitude <= 2e-7 * spectrum[0]) }
            #expect((found * found - wanted * wanted).magnitude <= 1e-5 * spectrum[0] * spectrum[0])
        }
        let found = excess(of: result, a, spectrum)
        #expect(found <= 1e-6 && found <= result.evidence.excessEstimate)
        #expect(result.evidence.excessEstimate <= 1e-6)
        let optimum = spectrum.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }.squareRoot()
        #expect((result.evidence.truncationError - optimum).magnitude <= 1e-6 * optimum)
    }

    /// Repeated values at the cut have no gap; whichever route is taken, the bound must hold all the same.
    @Test func aCutWithoutAGapIsFine() throws {
        let values = (0..<80).map { $0 < 10 ? 3.0 : $0 < 60 ? 2.0 : 1.0 }
        let a = Matrix(rounding: matrix(rows: 100, columns: 80, spectrum: values), columns: 80)
        let result = try Self.svd.decompose(MatrixOperand(a), rank: 30)
        #expect(result.evidence.excessEstimate <= 1e-6)
        #expect(excess(of: result, a, JacobiOracle(Matrix64(a)).singularValues) <= 1e-6)
    }

    private static let steep: [SpectrumCase] = [
        .init(name: "geometric to 1e-6") { i, n in pow(1e-6, Double(i) / Double(n - 1)) },
        .init(name: "one large") { i, _ in i == 0 ? 1e4 : 1 },
        .init(name: "two levels") { i, n in 2 * i < n ? 1 : 1e-5 },
        .init(name: "low rank") { i, _ in i < 20 ? 1 : 0 },
        .init(name: "zero") { _, _ in 0 },
    ]

    /// Steep spectra, small tails and exact rank are left to Float64.
    @Test(arguments: steep)
    func steepSpectraAreNot(_ spectrum: SpectrumCase) throws {
        let a = Matrix(rounding: matrix(rows: 80, columns: 70, spectrum: spectrum.values(70)), columns: 70)
        let result = try Self.svd.decompose(MatrixOperand(a), rank: 35)
        #expect(result.evidence.solver != .mixed)
        #expect(departureFromOrthonormal(Matrix64(result.u)) <= 1e-5)
        let wanted = JacobiOracle(Matrix64(a)).singularValues
        for (x, y) in zip(result.singularValues, wanted) { #expect((x - y).magnitude <= 1e-7 * max(wanted[0], 1e-30)) }
    }

    /// Where only the truncation is wanted, Float does for spectra that are too steep for left and right vectors.
    @Test(arguments: [(80, 60), (60, 80)], [40.0, 60])
    func steeperSpectraAreTruncatedInFloat(shape: (rows: Int, columns: Int), condition: Double) throws {
        let rank = 30, side = min(shape.rows, shape.columns)
        let values = (0..<side).map { pow(condition, -Double($0) / Double(rank - 1)) }
        let a = Matrix(
            rounding: matrix(rows: shape.rows, columns: shape.columns, spectrum: values), columns: shape.columns)
        #expect(try Self.svd.decompose(MatrixOperand(a), rank: rank).evidence.solver != .mixed)
        let result = try Self.svd(for: .truncation).decompose(MatrixOperand(a), rank: rank)
        #expect(result.evidence.solver == .mixed)
        let (short, long) = shape.rows > shape.columns ? (result.v, result.u) : (result.u, result.v)
        #expect(departureFromOrthonormal(Matrix64(short)) <= 1e-5)
        for length in columnNorms(long.view) { #expect((length - 1).magnitude <= 1e-6) }
        let spectrum = JacobiOracle(Matrix64(a)).singularValues
        let found = excess(of: result, a, spectrum)
        #expect(found <= result.evidence.excessEstimate && result.evidence.excessEstimate <= 1e-6)
        // ‖A‖² − Σσ² with σ of columns that are rounded to Float.
        let optimum = spectrum.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }
        let (error, norm) = (result.evidence.truncationError, result.evidence.norm)
        #expect((error * error - optimum).magnitude <= 1e-7 * norm * norm)
        for (x, y) in zip(result.kept, spectrum) { #expect((x - y).magnitude <= 2e-7 * spectrum[0]) }
    }

    private static let scales = [1, 1e-30, 1e30]

    /// Whatever the spectrum, the scale and the rank, the error is within 1e-6 of the optimum, beyond the rounding of
    /// the factors to Float.
    @Test(arguments: SpectrumCase.all, scales)
    func everyCutIsOptimal(_ spectrum: SpectrumCase, _ scale: Double) throws {
        let values = spectrum.values(70).map { $0 * scale / max(1, spectrum.values(70)[0]) }
        let a = Matrix(rounding: matrix(rows: 90, columns: 70, spectrum: values), columns: 70)
        let wanted = JacobiOracle(Matrix64(a)).singularValues
        let ranks = [1, 7, 20, 35, 50, 69]
        let norm = wanted.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for purpose in [TruncatedSVD.Purpose.singularVectors, .truncation] {
            let nested = try NestedSVD(MatrixOperand(a), by: Self.svd(for: purpose), ranks: ranks)
            for rank in ranks {
                let cut = try nested.truncated(to: rank)
                let optimum = wanted.dropFirst(rank).reversed().reduce(0) { $0 + $1 * $1 }.squareRoot()
                let error = optimum > 0 ? optimum * (1 + excess(of: cut, a, wanted)) : 0
                let allowed = (pow(optimum * (1 + 1e-6), 2) + pow(2e-7 * norm, 2)).squareRoot()
                #expect(error <= allowed, "\(spectrum.name), rank \(rank), \(purpose), \(cut.evidence.solver)")
                for factor in purpose == .truncation ? [cut.v] : [cut.u, cut.v] {
                    #expect(departureFromOrthonormal(Matrix64(factor)) <= 1e-5)
                }
            }
        }
    }

    @Test(arguments: [1e-20, 1e-8, 1e8, 1e20])
    func anyScaleIsSound(_ scale: Double) throws {
        let source = normal(90, 70)
        let a = Matrix(rows: 90, columns: 70) { Float(Double(source[$0, $1]) * scale) }
        let spectrum = JacobiOracle(Matrix64(a)).singularValues
        let result = try Self.svd.decompose(MatrixOperand(a), rank: 20)
        #expect(excess(of: result, a, spectrum) <= 1e-6)
        for (x, y) in zip(result.kept, spectrum) { #expect((x - y).magnitude <= 2e-7 * spectrum[0]) }
    }

    @Test func otherRoutesDoNotTakeFloat() throws {
        let a = normal(90, 70)
        for (route, solver) in [(TruncatedSVD.Route.gram, SVDEvidence.Solver.gram), (.direct, .direct)] {
            var svd = Self.svd
            svd.route = route
            #expect(try svd.decompose(MatrixOperand(a), rank: 20).evidence.solver == solver)
        }
        #expect(try Self.svd.decompose(MatrixOperand(a)) { _ in 20 }.evidence.solver == .gram)
        #expect(try Self.svd.decompose(MatrixOperand(Matrix64(a)), rank: 20).evidence.solver == .gram)
    }
}
