import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite struct TridiagonalEigenTests {
    static let orders = [1, 2, 3, 5, 8, 21, 32, 33, 65, 101]

    /// Forces merges at every size by leaves of one and two; each family with exact answers from bisection.
    @Test(arguments: TridiagonalCase.all)
    func anyMatrixIsDecomposed(_ matrix: TridiagonalCase) throws {
        for order in Self.orders {
            for leafSize in [1, 7, 32] where leafSize < max(order, 2) {
                let t = matrix.make(order)
                let (values, vectors) = try TridiagonalEigen(leafSize: leafSize)
                    .decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<order)
                check(t, values, vectors, "\(matrix.name), order \(order), leaves of \(leafSize)")
            }
        }
    }

    /// The same with vectors in Float: what it rounds away shows in vectors and in values, and no more than that.
    @Test(arguments: TridiagonalCase.all)
    func anyMatrixIsDecomposedInFloat(_ matrix: TridiagonalCase) throws {
        for order in Self.orders {
            for leafSize in [1, 7, 32] where leafSize < max(order, 2) {
                let t = matrix.make(order)
                let (values, vectors) = try TridiagonalEigen(leafSize: leafSize, precision: .float)
                    .decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<order)
                check(t, values, vectors, rounding: 0x1p-23, "\(matrix.name), order \(order), leaves of \(leafSize)")
            }
        }
    }

    private func check(
        _ t: (diagonal: [Double], offDiagonal: [Double]), _ values: [Double], _ vectors: Matrix64,
        rounding: Double = 0x1p-52, _ label: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        // Checked at a scale where squares are sound.
        let largest = (t.diagonal + t.offDiagonal).reduce(0) { max($0, $1.magnitude) }
        let exponent = largest > 0 ? Int(largest.exponent) : 0
        let d = t.diagonal.map { scalbn($0, -exponent) }, e = t.offDiagonal.map { scalbn($0, -exponent) }
        let scaled = values.map { scalbn($0, -exponent) }
        let n = d.count
        // Denormal numbers are coarser than ε.
        let grain = max(rounding, scalbn(1, -1074 - exponent))
        let tolerance = 20 * grain * Double(n).squareRoot()
        let departure = departureFromOrthonormal(vectors)
        let ascend = zip(scaled, scaled.dropFirst()).allSatisfy { $0 <= $1 }
        #expect(departure <= 20 * rounding * Double(n).squareRoot(), "\(label)", sourceLocation: sourceLocation)
        #expect(ascend, "\(label): order", sourceLocation: sourceLocation)
        var worst = 0.0
        for j in 0..<n {
            var squares = 0.0
            for i in 0..<n {
                var product = d[i] * vectors[i, j]
                if i > 0 { product += e[i - 1] * vectors[i - 1, j] }
                if i + 1 < n { product += e[i] * vectors[i + 1, j] }
                squares += pow(product - scaled[j] * vectors[i, j], 2)
            }
            worst = max(worst, squares.squareRoot())
        }
        #expect(worst <= tolerance, "\(label): residual", sourceLocation: sourceLocation)
        for index in [0, n / 3, n - 1] {
            let exact = bisectedEigenvalue(d, e, index: index)
            let distance = (scaled[index] - exact).magnitude
            #expect(distance <= tolerance, "\(label): value \(index)", sourceLocation: sourceLocation)
        }
    }

    /// Eigenvalues 2 − 2·cos(kπ/(n + 1)) of the second difference.
    @Test func theSecondDifferenceHasItsKnownSpectrum() throws {
        let n = 200
        let t = TridiagonalCase.all[0].make(n)
        let solver = TridiagonalEigen()
        let values = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<0).values
        for k in 1...n {
            #expect((values[k - 1] - (2 - 2 * cos(Double(k) * .pi / Double(n + 1)))).magnitude < 1e-14)
        }
    }

    @Test(arguments: TridiagonalCase.all)
    func aRangeOfVectorsIsThatPartOfAll(_ matrix: TridiagonalCase) throws {
        let order = 70
        let t = matrix.make(order)
        let solver = TridiagonalEigen(leafSize: 4)
        let all = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<order)
        for range in [0..<0, 0..<1, 13..<40, 69..<70] {
            let part = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal) { values in
                #expect(values == all.values)
                return range
            }
            let expected = Matrix64(all.vectors.view.columns(range))
            #expect(part.vectors.rows == order && part.vectors.columns == range.count)
            for j in 0..<range.count {
                let dot = (0..<order).reduce(0) { $0 + part.vectors[$1, j] * expected[$1, j] }
                #expect((dot - 1).magnitude < 1e-14)
            }
        }
    }

    /// A vector in Float does not depend on how many are asked for behind it, in groups of close values or outside.
    @Test(arguments: TridiagonalCase.all)
    func vectorsInFloatAreTheFirstOfMore(_ matrix: TridiagonalCase) throws {
        let order = 70
        let t = matrix.make(order)
        let solver = TridiagonalEigen(leafSize: 4, precision: .float)
        let all = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<order).vectors
        for count in [8, 9, 23, 40, 69] {
            let part = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: 0..<count)
            #expect(part.vectors.elements == Matrix64(all.view.columns(0..<count)).elements, "\(count) vectors")
        }
    }

    /// The middle of a group, whose first vectors are not asked for, is still orthogonal to the rest of it.
    @Test(arguments: TridiagonalCase.all)
    func rangesInFloatMayBeginAnywhere(_ matrix: TridiagonalCase) throws {
        let order = 70
        let t = matrix.make(order)
        let solver = TridiagonalEigen(leafSize: 4, precision: .float)
        for range in [1..<40, 7..<8, 13..<70] {
            let vectors = try solver.decompose(diagonal: t.diagonal, offDiagonal: t.offDiagonal, vectors: range).vectors
            #expect(vectors.columns == range.count)
            #expect(departureFromOrthonormal(vectors) <= 20 * 0x1p-23 * Double(order).squareRoot(), "\(range)")
        }
    }

    @Test func unusableInputIsRefused() {
        let solver = TridiagonalEigen()
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 2)) {
            try solver.decompose(diagonal: [1, 2, 3], offDiagonal: [1, .infinity], vectors: 0..<1)
        }
        #expect(throws: LinearAlgebraError.nonFinite(row: 2, column: 2)) {
            try solver.decompose(diagonal: [1, 2, .nan], offDiagonal: [1, 1], vectors: 0..<1)
        }
        #expect(throws: LinearAlgebraError.self) {
            try solver.decompose(diagonal: [1, 2, 3], offDiagonal: [1, 1, 1], vectors: 0..<1)
        }
        #expect(throws: LinearAlgebraError.self) {
            try solver.decompose(diagonal: [1, 2, 3], offDiagonal: [1, 1], vectors: 0..<4)
        }
    }

    @Test func nothingHasNoEigenvalues() throws {
        let (values, vectors) = try TridiagonalEigen().decompose(diagonal: [], offDiagonal: [], vectors: 0..<0)
        #expect(values.isEmpty && vectors.count == 0)
    }
}
