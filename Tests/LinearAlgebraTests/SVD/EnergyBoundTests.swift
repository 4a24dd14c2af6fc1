import Foundation
import Kernels
import MatrixCore
import Testing

@testable import LinearAlgebra

/// The bound on what computed vectors capture less than the best: never below what a Float64 oracle sees, and small
/// where it should be.
@Suite struct EnergyBoundTests {
    private static let order = 40
    private static let rank = 18

    /// Singular values whose squares are hard to tell apart at the cut, or far apart.
    static let spectra: [SpectrumCase] =
        SpectrumCase.all.filter { $0.name != "zero" } + [
            .init(name: "cluster at the cut") { i, _ in i < 10 ? 3 : i < 30 ? 2 : 1 },
            .init(name: "cluster that ends at the cut") { i, _ in i < 18 ? 2 : 1 },
            .init(name: "almost a cluster") { i, _ in 2 - 1e-6 * Double(i) },
            .init(name: "steep, then flat") { i, _ in i < 6 ? pow(10, Double(3 - i)) : 0.01 - 1e-5 * Double(i) },
            .init(name: "exponential") { i, _ in exp(-Double(i) / 8) },
            .init(name: "gap") { i, _ in i < 18 ? 10 - Double(i) / 6 : 0.5 - Double(i) / 100 },
        ]

    /// What is done to AᵀA before it is decomposed, in units of its norm.
    enum Disturbance: CaseIterable {
        case random, acrossTheCut, fromTheLargest
    }

    /// AᵀA, and an eigen-decomposition of a matrix near it.
    private struct Disturbed {
        let a: Matrix64
        let gram: Matrix64
        let energies: [Double]
        let values: [Double]
        let vectors: Matrix64
        /// ‖AᵀA − V̂ Λ̂ V̂ᵀ‖₂.
        let distance: Double

        init(_ spectrum: SpectrumCase, _ disturbance: Disturbance, size: Double) throws {
            let n = order
            a = Matrix64(
                Matrix(rounding: matrix(rows: n + 11, columns: n, spectrum: spectrum.values(n)), columns: n))
            var gram = Matrix64(rows: n, columns: n)
            multiplyByTranspose(MatrixOperand(a).transposed, into: gram.mutableView())
            let exact = try SymmetricEigen().decompose(gram, vectors: n)
            energies = JacobiOracle(a).singularValues.map { $0 * $0 }
            let random = CounterRandom(seed: 5)
            let scale = size * energies[0]
            let noise = Matrix64(rows: n, columns: n) { i, j in
                switch disturbance {
                case .random: scale * random.normal(max(i, j) * n + min(i, j)) / Double(n).squareRoot()
                case .acrossTheCut: scale * Self.pair(exact.vectors, rank - 1, rank, i, j)
                case .fromTheLargest: scale * Self.pair(exact.vectors, 0, rank + 2, i, j)
                }
            }
            let near = Matrix64(rows: n, columns: n) { gram[$0, $1] + noise[$0, $1] }
            let found = try SymmetricEigen().decompose(near, vectors: n)
            (values, vectors) = (found.values, found.vectors.leadingColumns(rank))
            distance = JacobiOracle(noise).singularValues[0] + 1e-13 * energies[0]
            self.gram = gram
        }

        /// x yᵀ + y xᵀ of two columns.
        private static func pair(_ v: Matrix64, _ x: Int, _ y: Int, _ i: Int, _ j: Int) -> Double {
            v[i, x] * v[j, y] + v[i, y] * v[j, x]
        }

        var excess: Double {
            var product = Matrix64(rows: a.rows, columns: rank)
            multiply(MatrixOperand(a), MatrixOperand(vectors), into: product.mutableView())
            return energies.prefix(rank).reduce(0, +) - sumOfSquares(MatrixOperand(product))
        }

        /// ‖R_i‖².
        var squaredResiduals: [Double] {
            var rest = Matrix64(rows: vectors.rows, columns: rank) { vectors[$0, $1] * values[$1] }
            multiply(MatrixOperand(gram), MatrixOperand(vectors), into: rest.mutableView(), alpha: -1, beta: 1)
            return columnNorms(rest.view).map { $0 * $0 }
        }
    }

    @Test(arguments: spectra, Disturbance.allCases)
    func noEtaIsTooSmall(_ spectrum: SpectrumCase, _ disturbance: Disturbance) throws {
        for size in [1e-9, 1e-6, 1e-4, 1e-2] {
            let disturbed = try Disturbed(spectrum, disturbance, size: size)
            let bound = EnergyBound(eigenvalues: disturbed.values, rank: Self.rank)
            let excess = disturbed.excess, residuals = disturbed.squaredResiduals, largest = disturbed.energies[0]
            for power in -10...0 {
                let eta = pow(10, Double(power)) * largest
                let residual = zip(residuals, bound.weights(eta)).reduce(0) { $0 + $1.0 / $1.1 }
                let value = residual + bound.overlap(eta, distance: disturbed.distance)
                #expect(excess <= value + 1e-13 * Double(Self.order) * largest, "size \(size), η = 1e\(power)·λ₁")
            }
        }
    }

    /// As `SVDProblem` measures it: in Float, by a few random vectors.
    @Test(arguments: spectra, Disturbance.allCases)
    func theEstimateIsNotTooSmall(_ spectrum: SpectrumCase, _ disturbance: Disturbance) throws {
        for size in [1e-6, 1e-4, 1e-2] {
            let disturbed = try Disturbed(spectrum, disturbance, size: size)
            let problem = try SVDProblem(MatrixOperand(Matrix(rounding: disturbed.a, columns: Self.order)))
            let found = problem.squaredExcess(
                Matrix(rounding: disturbed.vectors, columns: Self.rank), disturbed.values)
            #expect(disturbed.excess <= found + 1e-13 * Double(Self.order) * disturbed.energies[0], "size \(size)")
        }
    }

    /// Vectors far above the cut may be far off for little.
    @Test func distanceFromTheCutCounts() throws {
        let values = (0..<Self.order).map { exp(-Double($0) / 4) }
        let length = 1e-6
        let found = EnergyBound(eigenvalues: values, rank: Self.rank).least(columnLength: length, distance: length)
        #expect(found.value < 40 * length * length / values[Self.rank - 1])
        let uniform = Double(Self.rank) * length * length / found.eta
        #expect(found.value < uniform / 3)
    }

    @Test func nothingIsLostWithoutAResidual() {
        let bound = EnergyBound(eigenvalues: [4, 3, 3, 2], rank: 2)
        #expect(bound.overlap(0, distance: 0) == 0)
    }

    /// A V Vᵀ is worse than what the space of V allows if V is not orthonormal.
    @Test(arguments: [1e-4, 1e-3, 1e-2])
    func departureFromOrthonormalCounts(_ size: Double) throws {
        let disturbed = try Disturbed(Self.spectra[1], .random, size: 1e-9)
        let random = CounterRandom(seed: 9)
        var tilted = disturbed.vectors
        let mixing = Matrix64(rows: Self.rank, columns: Self.rank) { i, j in
            (i == j ? 1 : 0) + size * random.normal(i * Self.rank + j)
        }
        multiply(MatrixOperand(disturbed.vectors), MatrixOperand(mixing), into: tilted.mutableView())
        let problem = try SVDProblem(MatrixOperand(Matrix(rounding: disturbed.a, columns: Self.order)))
        let found = problem.squaredExcess(Matrix(rounding: tilted, columns: Self.rank), disturbed.values)

        var image = Matrix64(rows: disturbed.a.rows, columns: Self.rank)
        multiply(MatrixOperand(disturbed.a), MatrixOperand(tilted), into: image.mutableView())
        var rest = disturbed.a
        multiply(MatrixOperand(image), MatrixOperand(tilted).transposed, into: rest.mutableView(), alpha: -1, beta: 1)
        let optimum = disturbed.energies.dropFirst(Self.rank).reversed().reduce(0, +)
        #expect(sumOfSquares(MatrixOperand(rest)) - optimum <= found)
    }
}
