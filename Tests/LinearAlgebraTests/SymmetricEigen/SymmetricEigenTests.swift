import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

/// One way through the solver, with thresholds low enough that small matrices take it.
struct EigenRoute: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let options: SymmetricEigen

    static let all: [EigenRoute] = [
        route("automatic") { _ in },
        route("one stage") { $0.reduction = .oneStage },
        route("one stage, blocks of 8") {
            $0.reduction = .oneStage
            $0.sweepsPerBlock = 8
        },
        route("two stages, b 8") { forceTwoStage(&$0, bandwidth: 8, sweeps: 8, bytes: 1) },
        route("two stages, b 16, odd blocks") { forceTwoStage(&$0, bandwidth: 16, sweeps: 24, bytes: 64 << 10) },
        route("two stages, b 64") { forceTwoStage(&$0, bandwidth: 64, sweeps: 64, bytes: 4 << 20) },
    ]

    private static func route(_ name: String, _ change: (inout SymmetricEigen) -> Void) -> EigenRoute {
        var options = SymmetricEigen()
        change(&options)
        return EigenRoute(testDescription: name, options: options)
    }

    private static func forceTwoStage(_ options: inout SymmetricEigen, bandwidth: Int, sweeps: Int, bytes: Int) {
        options.reduction = .twoStage
        options.bandwidth = bandwidth
        options.sweepsPerBlock = sweeps
        options.reflectorBytesPerRound = bytes
    }

    func decompose(_ a: Matrix64, vectors count: Int) throws -> SymmetricEigenResult {
        try options.decompose(a, solver: TextbookQL()) { _ in count }
    }
}

/// max |A V − V Λ| and max |VᵀV − I|, by plain loops.
func eigenErrors(_ a: Matrix64, _ result: SymmetricEigenResult) -> (residual: Double, orthogonality: Double) {
    let (n, count) = (a.rows, result.vectors.columns)
    let (left, v) = (a.view, result.vectors.view)
    var (residual, orthogonality) = (0.0, 0.0)
    for i in 0..<n {
        for j in 0..<count {
            var sum = 0.0
            for p in 0..<n { sum += left[i, p] * v[p, j] }
            residual = max(residual, abs(sum - v[i, j] * result.values[j]))
        }
    }
    for i in 0..<count {
        for j in 0...i {
            var sum = i == j ? -1.0 : 0
            for p in 0..<n { sum += v[p, i] * v[p, j] }
            orthogonality = max(orthogonality, abs(sum))
        }
    }
    return (residual, orthogonality)
}

@Suite struct SymmetricEigenTests {
    /// A multiple of ε · √n · ‖A‖ that a backward stable solver stays below.
    private static func tolerance(_ n: Int) -> Double { 20 * .ulpOfOne * Double(max(n, 1)).squareRoot() }

    private func expectDecomposition(
        _ a: Matrix64, _ route: EigenRoute, vectors count: Int? = nil, values expected: [Double]? = nil, _ name: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let n = a.rows
        let result = try route.decompose(a, vectors: count ?? n)
        let norm = result.values.reduce(0) { max($0, abs($1)) }
        let tolerance = Self.tolerance(n)
        #expect(result.values.count == n && result.vectors.columns == count ?? n, sourceLocation: sourceLocation)
        #expect(zip(result.values, result.values.dropFirst()).allSatisfy { $0 >= $1 }, sourceLocation: sourceLocation)
        let errors = eigenErrors(a, result)
        #expect(errors.residual <= tolerance * norm, "\(name), n = \(n)", sourceLocation: sourceLocation)
        #expect(errors.orthogonality <= tolerance, "\(name), n = \(n)", sourceLocation: sourceLocation)
        for (value, wanted) in zip(result.values, expected ?? []) {
            #expect(abs(value - wanted) <= tolerance * norm, "\(name), n = \(n)", sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: EigenRoute.all)
    func prescribedSpectraAreFound(_ route: EigenRoute) throws {
        for n in [1, 2, 3, 17, 64, 65] {
            for (name, values) in SymmetricMatrices.spectra(n) {
                let a = SymmetricMatrices.withSpectrum(values)
                try expectDecomposition(a, route, values: values.sorted(by: >), name)
            }
        }
    }

    @Test(arguments: EigenRoute.all)
    func valuesAgreeWithJacobi(_ route: EigenRoute) throws {
        for n in [3, 17, 65] {
            let a = SymmetricMatrices.random(n)
            try expectDecomposition(a, route, values: jacobiEigen(a).values, "random")
        }
    }

    @Test(arguments: EigenRoute.all)
    func manyPanelsAndSweepsAreUndone(_ route: EigenRoute) throws {
        try expectDecomposition(SymmetricMatrices.random(130), route, "random")
    }

    @Test(arguments: EigenRoute.all)
    func nastyMatricesAreDecomposed(_ route: EigenRoute) throws {
        try expectDecomposition(SymmetricMatrices.wilkinson(41), route, "Wilkinson")
        for glue in [1e-4, 1e-10, 1e-16] {
            try expectDecomposition(SymmetricMatrices.gluedWilkinson(copies: 3, glue: glue), route, "glued \(glue)")
        }
        try expectDecomposition(SymmetricMatrices.graded(40, ratio: 0.5), route, "graded down")
        try expectDecomposition(SymmetricMatrices.graded(40, ratio: 2), route, "graded up")
        try expectDecomposition(Matrix64.identity(33), route, values: [Double](repeating: 1, count: 33), "identity")
        let ones = Matrix64(rows: 37, columns: 37) { _, _ in 1 }
        try expectDecomposition(ones, route, values: [37] + [Double](repeating: 0, count: 36), "ones")
    }

    @Test(arguments: EigenRoute.all)
    func hugeAndTinyScalesGiveTheSameDigits(_ route: EigenRoute) throws {
        let a = SymmetricMatrices.random(40)
        let plain = try route.decompose(a, vectors: 40)
        // Powers of two change exponents only, so every digit stays.
        for exponent in [-900, -100, 100, 1000] {
            let factor = scalbn(1, exponent)
            let result = try route.decompose(SymmetricMatrices.scaled(a, by: factor), vectors: 40)
            #expect(result.vectors == plain.vectors)
            #expect(result.values == plain.values.map { $0 * factor })
        }
        let subnormal = 0x1p-1064  // elements of about 1000 smallest numbers
        for factor in [1e-30, 1e30, subnormal] {
            let scaled = SymmetricMatrices.scaled(a, by: factor)
            let result = try route.decompose(scaled, vectors: 40)
            let digits = factor == subnormal ? 1e-3 : 1e-13
            for (value, wanted) in zip(result.values, plain.values) {
                #expect(abs(value - wanted * factor) <= digits * plain.values[0] * factor + 0x1p-1074 * 100)
            }
            #expect(eigenErrors(scaled, result).orthogonality <= Self.tolerance(40))
        }
    }

    @Test(arguments: EigenRoute.all)
    func leadingVectorsAloneAreThoseOfTheWhole(_ route: EigenRoute) throws {
        let a = SymmetricMatrices.random(70)
        let whole = try route.decompose(a, vectors: 70)
        for count in [0, 1, 7, 69] {
            let part = try route.decompose(a, vectors: count)
            #expect(part.values == whole.values)
            // A product with few columns is computed another way, so the last digits may differ.
            let differences = (0..<70).flatMap { i in
                (0..<count).map { abs(part.vectors[i, $0] - whole.vectors[i, $0]) }
            }
            #expect(part.vectors.columns == count && differences.allSatisfy { $0 <= Self.tolerance(70) })
        }
    }

    @Test func zerosAndEmptyMatricesHaveTrivialAnswers() throws {
        for n in [0, 1, 5] {
            let result = try EigenRoute.all[0].decompose(Matrix64(rows: n, columns: n), vectors: n)
            #expect(result.values == [Double](repeating: 0, count: n))
            #expect(result.vectors == Matrix64.identity(n))
            #expect(result.evidence.solver == .trivial)
        }
        let single = try EigenRoute.all[0].decompose(Matrix64(rows: 1, columns: 1, elements: [-3]), vectors: 1)
        #expect(single.values == [-3])
        #expect(single.vectors.elements == [1])
    }

    @Test func onlyTheLowerTriangleIsRead() throws {
        for route in EigenRoute.all {
            let a = SymmetricMatrices.random(30)
            let lower = Matrix64(rows: 30, columns: 30) { $0 >= $1 ? a[$0, $1] : .nan }
            #expect(try route.decompose(lower, vectors: 30).vectors == route.decompose(a, vectors: 30).vectors)
        }
    }

    @Test func badInputIsNamed() {
        let route = EigenRoute.all[0]
        var a = SymmetricMatrices.random(5)
        a[3, 1] = .nan
        #expect(throws: LinearAlgebraError.nonFinite(row: 3, column: 1)) { try route.decompose(a, vectors: 5) }
        #expect(throws: LinearAlgebraError.self) { try route.decompose(Matrix64(rows: 2, columns: 3), vectors: 1) }
    }

    @Test(arguments: EigenRoute.all)
    func anyNumberOfThreadsGivesTheSameBytes(_ route: EigenRoute) throws {
        let a = SymmetricMatrices.random(100)
        let before = Threads.count
        defer { Threads.count = before }
        Threads.count = 1
        let single = try route.decompose(a, vectors: 60)
        for threads in 2...4 {
            Threads.count = threads
            let result = try route.decompose(a, vectors: 60)
            #expect(result.values == single.values && result.vectors == single.vectors)
        }
    }

    /// Rounding of the reflectors adds up over their groups, so the smallest blocks are the hardest.
    @Test(arguments: EigenRoute.all)
    func roundedVectorsAreOffByNoMoreThanIsSaid(_ route: EigenRoute) throws {
        for n in [1, 2, 20, 160] {
            let a = SymmetricMatrices.random(n)
            var eigen = try route.options.reduce(a, solver: TextbookQL()) { _ in n }
            let rounded = eigen.roundedVectors()
            eigen.backTransform()
            for j in 0..<n {
                let square = (0..<n).reduce(0.0) { sum, i in
                    let difference = Double(rounded[i, j]) - eigen.vectors[i, j]
                    return sum + difference * difference
                }
                #expect(square.squareRoot() <= ReducedEigen.roundedVectorError(order: n), "order \(n), column \(j)")
            }
        }
    }

    @Test func theCallerMayChooseTheVectorsFromTheSpectrum() throws {
        let values = SymmetricMatrices.spectra(30)[1].values
        let a = SymmetricMatrices.withSpectrum(values)
        let result = try SymmetricEigen().decompose(a) { $0.prefix { $0 > 0.05 }.count }
        #expect(result.vectors.columns == values.count { $0 > 0.05 })
        let errors = eigenErrors(a, result)
        #expect(max(errors.residual, errors.orthogonality) <= Self.tolerance(30))
        #expect(throws: LinearAlgebraError.self) { try SymmetricEigen().decompose(a, vectors: 31) }
        #expect(throws: CancellationError.self) {
            try SymmetricEigen().decompose(a) { _ in throw CancellationError() }
        }
    }

    @Test func theEvidenceNamesRouteAndStages() throws {
        let a = SymmetricMatrices.random(40)
        let one = try EigenRoute.all[1].decompose(a, vectors: 3).evidence
        #expect(one.solver == .oneStage && one.order == 40 && one.bandwidth == 0)
        let two = try EigenRoute.all[3].decompose(a, vectors: 3).evidence
        #expect(two.solver == .twoStage && two.bandwidth == 8)
        #expect(
            two.stages.map(\.name)
                == ["scaling", "band reduction", "bulge chase", "tridiagonal", "back-transformation"])
    }
}
