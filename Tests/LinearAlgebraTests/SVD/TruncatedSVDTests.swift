import Foundation
import MatrixCore
import Testing

@testable import LinearAlgebra

/// A spectrum to prescribe, by name.
struct SpectrumCase: CustomTestStringConvertible, Sendable {
    let name: String
    let value: @Sendable (_ index: Int, _ count: Int) -> Double

    var testDescription: String { name }

    func values(_ count: Int) -> [Double] { (0..<count).map { value($0, count) }.sorted(by: >) }

    static let all: [SpectrumCase] = [
        .init(name: "flat") { _, _ in 1 },
        .init(name: "power law") { i, _ in 1 / Double(i + 1) },
        .init(name: "geometric to 1e-6") { i, n in pow(1e-6, Double(i) / Double(max(n - 1, 1))) },
        .init(name: "geometric to 1e-14") { i, n in pow(1e-14, Double(i) / Double(max(n - 1, 1))) },
        .init(name: "half the rank") { i, n in 2 * i < n ? 1 + Double(i) : 0 },
        .init(name: "pairs") { i, _ in 1 / Double(i / 2 + 1) },
        .init(name: "one large") { i, _ in i == 0 ? 1e4 : 1 },
        .init(name: "two levels") { i, n in 2 * i < n ? 1 : 1e-5 },
        .init(name: "zero") { _, _ in 0 },
    ]
}

@Suite struct TruncatedSVDTests {
    static let shapes = [(1, 1), (1, 7), (9, 1), (12, 12), (31, 17), (17, 40), (64, 33)]
    static let exactRoutes: [TruncatedSVD.Route] = [.automatic, .gram, .direct]

    @Test(arguments: SpectrumCase.all, exactRoutes)
    func truncationIsOptimal(_ spectrum: SpectrumCase, _ route: TruncatedSVD.Route) throws {
        for (rows, columns) in Self.shapes {
            let values = spectrum.values(min(rows, columns))
            let a = Matrix(rounding: matrix(rows: rows, columns: columns, spectrum: values), columns: columns)
            for rank in Set([0, 1, values.count / 2, values.count]) {
                try check(a, rank, route)
            }
        }
    }

    @Test(arguments: [1e-38, 1e-30, 1e-15, 1e15, 1e30, 1e37], exactRoutes)
    func anyScaleOfFloatIsSound(_ scale: Double, _ route: TruncatedSVD.Route) throws {
        let values = SpectrumCase.all[2].values(17).map { $0 * scale }
        let a = Matrix(rounding: matrix(rows: 31, columns: 17, spectrum: values), columns: 17)
        try check(a, 8, route)
    }

    @Test(arguments: [1e-300, 1e-200, 1e200, 1e300], exactRoutes)
    func anyScaleOfDoubleIsSound(_ scale: Double, _ route: TruncatedSVD.Route) throws {
        let values = SpectrumCase.all[1].values(9).map { $0 * scale }
        let a = matrix(rows: 9, columns: 12, spectrum: values)
        let result = try TruncatedSVD(route: route).decompose(MatrixOperand(a), rank: 4)
        for (found, wanted) in zip(result.singularValues, values) {
            #expect((found - wanted).magnitude <= 1e-7 * values[0])
        }
        #expect(departureFromOrthonormal(Matrix64(result.u)) <= 1e-5)
    }

    /// Small integers, whose products are exact: what A leaves of the vectors it annihilates is then parallel to those
    /// that it does not.
    @Test(arguments: [1e-30, 1, 1e30], exactRoutes)
    func vectorsOfAMatrixWithoutFullRankAreOrthonormal(_ scale: Double, _ route: TruncatedSVD.Route) throws {
        for (rows, columns, rank) in [(30, 3, 1), (3, 30, 1), (40, 12, 2), (17, 17, 1)] {
            let a = Matrix(rows: rows, columns: columns) { i, j in
                Float(scale) * Float((0..<rank).reduce(0) { $0 + (i * ($1 + 3) % 7 - 3) * (j * (2 * $1 + 1) % 5 + 1) })
            }
            try check(a, min(rows, columns), route)
            try check(a, rank, route)
        }
    }

    /// Orthonormal factors, the spectrum of the oracle, and an error within 1e-6 of what the spectrum allows, beyond
    /// the rounding of the factors themselves.
    private func check(
        _ a: Matrix, _ rank: Int, _ route: TruncatedSVD.Route, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let wide = Matrix64(a)
        let oracle = JacobiOracle(wide).singularValues
        let result = try TruncatedSVD(route: route).decompose(MatrixOperand(a), rank: rank)
        let label = "\(a.rows) × \(a.columns), rank \(rank), \(route)"
        #expect(result.u.rows == a.rows && result.u.columns == rank, "\(label)", sourceLocation: sourceLocation)
        #expect(result.v.rows == a.columns && result.v.columns == rank, "\(label)", sourceLocation: sourceLocation)
        #expect(departureFromOrthonormal(Matrix64(result.u)) <= 1e-5, "\(label): U", sourceLocation: sourceLocation)
        #expect(departureFromOrthonormal(Matrix64(result.v)) <= 1e-5, "\(label): V", sourceLocation: sourceLocation)
        #expect(result.singularValues.count == oracle.count, "\(label)", sourceLocation: sourceLocation)
        let tolerance = (route == .direct ? 1e-13 : 1e-7) * (oracle.first ?? 0)
        for (found, wanted) in zip(result.singularValues, oracle) {
            #expect((found - wanted).magnitude <= tolerance, "\(label)", sourceLocation: sourceLocation)
        }
        let optimum = oracle.dropFirst(rank).reduce(0) { $0 + $1 * $1 }.squareRoot()
        let norm = oracle.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // In quadrature: the rounding of the factors is at right angles to what is left out.
        let allowed = (pow(optimum * (1 + 1e-6), 2) + pow(2e-7 * norm, 2)).squareRoot()
        #expect(error(of: result, wide) <= allowed, "\(label): error", sourceLocation: sourceLocation)
    }

    private func error(of result: SVDResult, _ a: Matrix64) -> Double {
        var sum = 0.0
        for i in 0..<a.rows {
            for j in 0..<a.columns {
                var value = a[i, j]
                for p in 0..<result.rank {
                    value -= Double(result.u[i, p]) * result.singularValues[p] * Double(result.v[j, p])
                }
                sum += value * value
            }
        }
        return sum.squareRoot()
    }

    @Test func theRankIsChosenFromTheWholeSpectrum() throws {
        let a = matrix(rows: 20, columns: 30, spectrum: (0..<20).map { Double(20 - $0) })
        let result = try TruncatedSVD().decompose(MatrixOperand(a)) { values in
            #expect(values.count == 20)
            return values.prefix { $0 > 10.5 }.count
        }
        #expect(result.rank == 10)
        let dropped = (1...10).reduce(0.0) { $0 + Double($1 * $1) }.squareRoot()
        #expect((result.evidence.truncationError - dropped).magnitude < 1e-12 * dropped)
        #expect(result.evidence.stages.map(\.name) == [
            "gram", "scaling", "reduction", "tridiagonal", "vectors", "product",
        ])
    }

    @Test func errorsOfTheChoicePassThrough() {
        struct Refusal: Error {}
        #expect(throws: Refusal.self) {
            try TruncatedSVD().decompose(MatrixOperand(Matrix64.identity(3))) { _ in throw Refusal() }
        }
    }

    @Test func theFallbackTakesTheDirectRouteOnlyWhereItHelps() throws {
        let steep = matrix(rows: 20, columns: 20, spectrum: SpectrumCase.all[2].values(20))
        let low = try TruncatedSVD().decompose(MatrixOperand(steep), rank: 4)
        let high = try TruncatedSVD().decompose(MatrixOperand(steep), rank: 19)
        #expect(low.evidence.solver == .gram)
        #expect(high.evidence.solver == .direct)
        let all = try TruncatedSVD().decompose(MatrixOperand(steep), rank: 20)
        #expect(all.evidence.solver == .gram)
    }

    /// The estimate is above the excess that is there, and not by orders of magnitude where it matters.
    @Test(arguments: [1e-2, 1e-4, 1e-5])
    func theExcessIsBounded(_ tail: Double) throws {
        let values = (0..<60).map { $0 < 30 ? 1.0 : tail }
        let a = Matrix(rounding: matrix(rows: 80, columns: 60, spectrum: values), columns: 60)
        let optimum = JacobiOracle(Matrix64(a)).singularValues.dropFirst(30).reduce(0) { $0 + $1 * $1 }.squareRoot()
        let result = try TruncatedSVD().decompose(MatrixOperand(a), rank: 30)
        let excess = error(of: result, Matrix64(a)) / optimum - 1
        #expect(excess <= result.evidence.excessEstimate && result.evidence.excessEstimate <= 100 * excess + 1e-9)
    }

    @Test func emptyMatricesHaveEmptyFactors() throws {
        for (rows, columns) in [(0, 0), (0, 3), (4, 0)] {
            for route in Self.exactRoutes {
                let a = Matrix(rows: rows, columns: columns)
                let result = try TruncatedSVD(route: route).decompose(MatrixOperand(a), rank: 0)
                #expect(result.u.rows == rows && result.v.rows == columns && result.singularValues.isEmpty)
            }
        }
    }

    @Test func unusableInputIsRefused() {
        var a = Matrix(rows: 3, columns: 4)
        #expect(throws: LinearAlgebraError.shapeMismatch(rows: 3, columns: 4, expected: "large enough for rank 4")) {
            try TruncatedSVD().decompose(MatrixOperand(a), rank: 4)
        }
        a[1, 2] = .nan
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 2)) {
            try TruncatedSVD().spectrum(MatrixOperand(a))
        }
    }

    @Test(arguments: [ElementType.bfloat16, .float16])
    func halfPrecisionIsReadInPlace(_ type: ElementType) throws {
        let spectrum = SpectrumCase.all[1].values(16)
        let source = Matrix(rounding: matrix(rows: 24, columns: 16, spectrum: spectrum), columns: 16)
        let bits = AlignedBuffer<UInt16>(uninitializedCount: 24 * 16)
        let rounded = Matrix(rows: 24, columns: 16) { i, j in
            let value = source[i, j]
            bits.base[i * 16 + j] = type == .bfloat16 ? BFloat16(value).bitPattern : Half(value).bitPattern
            return type == .bfloat16 ? BFloat16(value).float : Half(value).float
        }
        let operand = MatrixOperand(
            base: UnsafeRawPointer(bits.base), type: type, rows: 24, columns: 16, rowStride: 16, owner: bits)
        let fromBits = try TruncatedSVD().decompose(operand, rank: 5)
        let fromFloat = try TruncatedSVD().decompose(MatrixOperand(rounded), rank: 5)
        #expect(fromBits.u == fromFloat.u && fromBits.v == fromFloat.v)
        #expect(fromBits.singularValues == fromFloat.singularValues)
    }
}
