import Kernels
import LinearAlgebra
import MatrixCore
import Testing

@testable import Jobs

/// The measures of `diagnose`, on matrices whose answer is known.
struct DiagnosisTests {
    private static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    private static func basis(_ matrix: Matrix, _ rank: Int) throws -> Matrix {
        try TruncatedSVD().decompose(MatrixOperand(matrix), rank: rank).v
    }

    @Test func equalSubspacesOverlapWhollyAndRandomOnesByChance() throws {
        let first = try Self.basis(Self.random(60, 80, seed: 1), 10)
        #expect(abs(SubspaceOverlap([first, first, first]).measured - 1) < 1e-5)
        let others = try (2..<12).map { try Self.basis(Self.random(60, 80, seed: $0), 10) }
        let overlap = SubspaceOverlap(others)
        #expect(overlap.chance == 10.0 / 80)
        #expect(abs(overlap.measured - overlap.chance) < 0.03)
        #expect(abs(overlap.sharing) < 0.04)
    }

    /// Subspaces that have three of ten directions in common, the rest orthogonal.
    @Test func commonDirectionsAreCounted() {
        let identity = Matrix.identity(40)
        let first = Matrix(rows: 40, columns: 10) { identity[$0, $1] }
        let second = Matrix(rows: 40, columns: 10) { identity[$0, $1 + 7] }
        #expect(abs(SubspaceOverlap([first, second]).measured - 0.3) < 1e-12)
    }

    @Test(arguments: [(60, 80), (200, 50), (100, 100)])
    func noiseHasNoDirectionsAboveItsBulk(rows: Int, columns: Int) throws {
        let noise = Self.random(rows, columns, seed: 7)
        let values = try TruncatedSVD().spectrum(MatrixOperand(noise))
        let shape = SpectrumShape(values, rows: rows, columns: columns)
        // The edge of standard normal entries is √m + √n.
        let edge = Double(rows).squareRoot() + Double(columns).squareRoot()
        #expect(abs(shape.bulkEdge / edge - 1) < 0.07)
        #expect(shape.spikes <= 1)
    }

    @Test func directionsBesideNoiseAreFound() throws {
        let left = Self.random(80, 5, seed: 8), right = Self.random(5, 120, seed: 9)
        var weight = Self.random(80, 120, seed: 10)
        multiply(MatrixOperand(left), MatrixOperand(right), into: weight.mutableView(), alpha: 1, beta: 1)
        let values = try TruncatedSVD().spectrum(MatrixOperand(weight))
        #expect(SpectrumShape(values, rows: 80, columns: 120).spikes == 5)
    }

    @Test func theMedianOfTheBulkIsThatOfItsLaw() {
        // Gavish and Donoho: 4/√3 / √median = 2.858 for square matrices.
        #expect(abs(4 / 3.0.squareRoot() / SpectrumShape.medianOfBulk(aspect: 1).squareRoot() - 2.858) < 2e-3)
        #expect(abs(SpectrumShape.medianOfBulk(aspect: 1e-6) - 1) < 1e-3)
    }

    @Test func theLargestEntryIsNamed() {
        var weight = Self.random(30, 40, seed: 11)
        weight[12, 34] = -90
        let found = EntryOutliers(MatrixOperand(weight))
        #expect((found.row, found.column, found.count) == (12, 34, 1))
        let total = sumOfSquares(MatrixOperand(weight))
        #expect(abs(found.largest - 90 / (total / 1200).squareRoot()) < 1e-6)
        #expect(abs(found.energy - 8100 / total) < 1e-9)
        let empty = EntryOutliers(MatrixOperand(Matrix(rows: 2, columns: 2)))
        #expect((empty.largest, empty.count) == (0, 0))
    }
}
