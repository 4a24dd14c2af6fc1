import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Tolerances")
struct ToleranceTests {
    @Test("grow with the root of the size and in proportion to the norm")
    func scaling() {
        let base = Tolerance.rounding(.float64, size: 16, norm: 1)
        #expect(Tolerance.rounding(.float64, size: 64, norm: 1) == 2 * base)
        #expect(Tolerance.rounding(.float64, size: 16, norm: 3) == 3 * base)
        #expect(Tolerance.rounding(.float32, size: 16, norm: 1) == base * 0x1p29)
    }

    @Test("are finite and positive for empty matrices")
    func empty() {
        #expect(Tolerance.rounding(.float64, size: 0, norm: 1) > 0)
        #expect(Tolerance.rank(.float32, rows: 0, columns: 0, largest: 0) == 0)
    }
}

@Suite("Vector loops")
struct VectorLoopTests {
    @Test(
        "dot and sum of squares agree with exact integers at every remainder",
        arguments: [0, 1, 3, 15, 16, 17, 33, 100])
    func sums(count: Int) {
        let x = (0..<count).map { Double($0 % 7) - 3 }
        let exact = x.reduce(0) { $0 + $1 * $1 }
        #expect(Double.dot(x, x, count) == exact)
        #expect(Double.sumOfSquares(x, count) == exact)
        let narrow = x.map(Float.init)
        #expect(Float.dot(narrow, narrow, count) == Float(exact))
        #expect(Float.sumOfSquares(narrow, count) == exact)
    }

    @Test("a sum of squares of Float does not overflow")
    func largeSquares() {
        #expect(Float.sumOfSquares([1e30, 1e30], 2) > 1.9e60)
    }

    @Test("the largest magnitude shows a NaN wherever it stands", arguments: [0, 3, 7])
    func nan(position: Int) {
        var a = Matrix64(rows: 2, columns: 4) { Double($0 + $1) }
        a[position / 4, position % 4] = .nan
        #expect(Double.largestMagnitude(a.view).isNaN)
        a[position / 4, position % 4] = -.infinity
        #expect(Double.largestMagnitude(a.view) == .infinity)
        a[position / 4, position % 4] = -9
        #expect(Double.largestMagnitude(a.view) == 9)
        #expect(Double.largestMagnitude(Matrix64(rows: 0, columns: 3).view) == 0)
    }

    /// Large matrices are shared out over the threads.
    @Test func theLargestOfManyRowsIsFoundWhereverItIs() {
        for place in [(0, 0), (163, 399), (399, 7), (399, 399)] {
            for value in [-7, Float.infinity, .nan] {
                var a = Matrix(rows: 400, columns: 400) { Float(($0 + $1) % 5) }
                a[place.0, place.1] = value
                for view in [a.view, a.view.transposed] {
                    let found = Float.largestMagnitude(view)
                    #expect(value.isNaN ? found.isNaN : found == Double(abs(value)), "\(place)")
                }
            }
        }
    }

    @Test("copying scales and follows strides")
    func copy() {
        let source = Matrix64(rows: 45, columns: 70) { Double($0 * 100 + $1) }
        var target = Matrix64(rows: 70, columns: 45)
        Double.copy(source.view.transposed, scaledBy: 0.5, into: target.mutableView())
        #expect(target == Matrix64(rows: 70, columns: 45) { Double($1 * 100 + $0) / 2 })
    }
}
