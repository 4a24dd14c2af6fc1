import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

@Suite("Small problems")
struct SmallProblemTests {
    func symmetric(_ values: [Double], seed: UInt64 = 2) -> Matrix64 {
        let q = QROracle.orthonormal(values.count, values.count, seed: seed)
        let scaled = Matrix64(rows: values.count, columns: values.count) { q[$0, $1] * values[$1] }
        let product = QROracle.product(scaled, QROracle.transposed(q))
        return Matrix64(rows: values.count, columns: values.count) { (product[$0, $1] + product[$1, $0]) / 2 }
    }

    func checkEigen(_ a: Matrix64, expected: [Double]? = nil) throws {
        let result = try SmallSymmetricEigen(a.view)
        let norm = QROracle.norm(a)
        let tolerance = Tolerance.rounding(.float64, size: a.rows, norm: 1) * 4
        #expect(QROracle.orthogonalityError(result.vectors) <= tolerance * Double(max(a.rows, 1)).squareRoot())
        let left = QROracle.product(a, result.vectors)
        let right = Matrix64(rows: a.rows, columns: a.rows) { result.vectors[$0, $1] * result.values[$1] }
        #expect(QROracle.difference(left, right) <= tolerance * norm)
        #expect(result.values == result.values.sorted())
        for (value, wanted) in zip(result.values, (expected ?? result.values).sorted()) {
            #expect(abs(value - wanted) <= tolerance * norm)
        }
    }

    @Test("eigenpairs of prescribed spectra")
    func eigen() throws {
        for size in [0, 1, 2, 3, 7, 16, 33, 64, 128] {
            let values = (0..<size).map { Double($0) - Double(size) / 3 }
            try checkEigen(symmetric(values), expected: values)
        }
        try checkEigen(symmetric([1, 1, 1, 1, 2, 2, 2, 5]), expected: [1, 1, 1, 1, 2, 2, 2, 5])
        let graded = (0..<20).map { pow(10, -Double($0)) }
        try checkEigen(symmetric(graded), expected: graded)
        try checkEigen(Matrix64(rows: 9, columns: 9))
        try checkEigen(.identity(9), expected: Array(repeating: 1, count: 9))
        try checkEigen(Matrix64(rows: 12, columns: 12) { _, _ in 1 }, expected: Array(repeating: 0, count: 11) + [12])
        for scale in [1e-30, 1e30, 1e-300, 1e300] {
            let a = symmetric([3, -1, 0.5, 2, 2])
            try checkEigen(Matrix64(rows: 5, columns: 5) { a[$0, $1] * scale })
        }
    }

    @Test("Wilkinson's matrix: pairs of eigenvalues that agree to fifteen digits")
    func wilkinson() throws {
        let a = Matrix64(rows: 21, columns: 21) { i, j in
            i == j ? Double(abs(i - 10)) : (abs(i - j) == 1 ? 1 : 0)
        }
        try checkEigen(a)
        // Wilkinson, The Algebraic Eigenvalue Problem, p. 309.
        let values = try SmallSymmetricEigen(a.view).values
        #expect(abs(values[20] - 10.746194182903393) < 1e-13 && abs(values[19] - 10.746194182903322) < 1e-13)
        #expect(abs(values[0] + 1.125441522119984) < 1e-13)
    }

    func checkSVD(_ a: Matrix64, expected: [Double]? = nil, relative: Bool = false) throws {
        let result = try SmallSVD(a.view)
        let size = min(a.rows, a.columns)
        let tolerance = Tolerance.rounding(.float64, size: max(a.rows, a.columns), norm: 4)
        #expect(
            result.u.rows == a.rows && result.u.columns == size && result.v.rows == a.columns
                && result.v.columns == size)
        #expect(QROracle.orthogonalityError(result.u) <= tolerance * Double(max(size, 1)).squareRoot())
        #expect(QROracle.orthogonalityError(result.v) <= tolerance * Double(max(size, 1)).squareRoot())
        let scaled = Matrix64(rows: a.rows, columns: size) { result.u[$0, $1] * result.values[$1] }
        let norm = QROracle.norm(a)
        #expect(QROracle.difference(QROracle.product(scaled, QROracle.transposed(result.v)), a) <= tolerance * norm)
        #expect(result.values == result.values.sorted(by: >))
        for (value, wanted) in zip(result.values, expected ?? result.values) {
            #expect(abs(value - wanted) <= tolerance * (relative ? wanted : norm))
        }
    }

    @Test("singular triplets of prescribed spectra, tall, square and wide")
    func svd() throws {
        for (rows, columns) in [(0, 0), (1, 1), (1, 7), (7, 1), (5, 5), (20, 6), (6, 20), (40, 33), (64, 64)] {
            let values = (0..<min(rows, columns)).map { 1 / Double($0 + 1) }
            try checkSVD(
                QROracle.matrix(rows: rows, columns: columns, singularValues: values), expected: values)
        }
        try checkSVD(QROracle.matrix(rows: 12, columns: 9, singularValues: [2, 2, 2, 1]))
        try checkSVD(Matrix64(rows: 8, columns: 5))
        try checkSVD(Matrix64(rows: 8, columns: 5) { _, _ in 1 }, expected: [Double(40).squareRoot(), 0, 0, 0, 0])
        for scale in [1e-30, 1e30, 1e-300, 1e300] {
            let a = QROracle.random(9, 6)
            try checkSVD(Matrix64(rows: 9, columns: 6) { a[$0, $1] * scale })
        }
    }

    @Test("scaled columns keep every singular value to its own relative accuracy")
    func graded() throws {
        // Columns orthogonal to begin with, so the column norms are the singular values, twenty orders apart.
        let q = QROracle.orthonormal(24, 21, seed: 8)
        let values = (0..<21).map { pow(10, -Double($0)) }
        try checkSVD(
            Matrix64(rows: 24, columns: 21) { q[$0, $1] * values[$1] }, expected: values, relative: true)
        try checkSVD(Matrix64(rows: 6, columns: 4) { $0 == $1 ? pow(10, -140 * Double($0)) : 0 })
    }

    @Test("batches come in order, the same on any number of threads, and stop at the first error")
    func batches() throws {
        let before = Threads.count
        defer { Threads.count = before }
        let problems = (0..<17).map { QROracle.random(4 + $0, 4 + $0 / 2, seed: UInt64($0)) }
        var results: [[SmallSVD]] = []
        for threads in 1...3 {
            Threads.count = threads
            results.append(try Batch.svd(of: problems))
        }
        for (index, problem) in problems.enumerated() {
            let alone = try SmallSVD(problem.view)
            #expect(results.allSatisfy { $0[index].values == alone.values && $0[index].u == alone.u })
        }
        let grams = problems.map { QROracle.product(QROracle.transposed($0), $0) }
        #expect(try Batch.eigen(of: grams).map(\.values.count) == problems.map(\.columns))
        #expect(try Batch.qr(of: problems).map(\.r.rows) == problems.map(\.columns))
        #expect(try Batch.eigen(of: []).isEmpty)
        var broken = problems
        broken[11][0, 0] = .nan
        broken[5][1, 1] = .infinity
        #expect(throws: LinearAlgebraError.nonFinite(row: 1, column: 1)) { try Batch.svd(of: broken) }
        #expect(throws: LinearAlgebraError.self) { try Batch.eigen(of: problems) }
    }

    @Test("not a square, not a number")
    func refusals() {
        #expect(throws: LinearAlgebraError.shapeMismatch(rows: 2, columns: 3, expected: "square")) {
            try SmallSymmetricEigen(Matrix64(rows: 2, columns: 3).view)
        }
        #expect(throws: LinearAlgebraError.nonFinite(row: 0, column: 0)) {
            try SmallSymmetricEigen(Matrix64(rows: 1, columns: 1, elements: [.nan]).view)
        }
    }
}
