import KernelContract
import Kernels

/// All roots of a secular equation and the vectors that belong to them.
///
/// The vectors are those of a matrix with slightly different weights ẑ, of which the computed roots are the exact
/// eigenvalues; so they are orthogonal to working precision however close the roots are.
///
/// - Source: Gu and Eisenstat, SIAM J. Matrix Anal. Appl. 15 (1994), "A stable and efficient algorithm for the rank-one
///   modification of the symmetric eigenproblem"; the weights from Löwner's formula.
struct SecularRoots {
    /// Ascending.
    let values: [Double]
    /// Poles d.
    private let poles: PaddedRun
    /// The pole that root i is counted from, and its distance: d_j − λ_i = (d_j − origins[i]) − offsets[i].
    private let origins: PaddedRun
    private let offsets: PaddedRun
    /// ẑ.
    private let weights: PaddedRun
    private let kernels: SecularKernels

    private static let strip = 16

    init(_ deflation: RankOneDeflation, rho: Double) throws(LinearAlgebraError) {
        let n = deflation.d.count
        kernels = InstructionSet.active.kernels.secular
        poles = PaddedRun(deflation.d)
        origins = PaddedRun(count: n)
        offsets = PaddedRun(count: n)
        weights = PaddedRun(deflation.z)
        let equation = SecularEquation(d: poles, z: weights, rho: rho, kernel: kernels.sums)
        try Self.solve(equation, origins, offsets)
        values = (0..<n).map { [origins, offsets] in origins[$0] + offsets[$0] }
        recomputeWeights()
    }

    private static func solve(
        _ equation: SecularEquation, _ origins: PaddedRun, _ offsets: PaddedRun
    ) throws(LinearAlgebraError) {
        let n = origins.count
        var failures = [LinearAlgebraError?](repeating: nil, count: n)
        failures.withUnsafeMutableBufferPointer { failures in
            nonisolated(unsafe) let failures = failures
            parallelFor((n + strip - 1) / strip) { piece in
                for i in (piece * strip)..<min((piece + 1) * strip, n) {
                    do throws(LinearAlgebraError) {
                        let root = try equation.root(i)
                        origins.base[i] = equation.d[root.origin]
                        offsets.base[i] = root.offset
                    } catch {
                        failures[i] = error
                    }
                }
            }
        }
        for case let failure? in failures { throw failure }
    }

    /// ẑ_j² = (λ_{n−1} − d_j) · Π_{i<j} (λ_i − d_j)/(d_i − d_j) · Π_{j≤i<n−1} (λ_i − d_j)/(d_{i+1} − d_j), up to 1/ρ.
    ///
    /// All quotients are in 0 … 1, so no partial product is below the whole.
    private func recomputeWeights() {
        let n = poles.count
        let kernel = kernels.product
        parallelFor((n + Self.strip - 1) / Self.strip) { [poles, origins, offsets, weights] piece in
            for j in (piece * Self.strip)..<min((piece + 1) * Self.strip, n) {
                var product = 0.0
                kernel(
                    SecularProduct(
                        poles: poles.base, origins: origins.base, offsets: offsets.base, count: n, index: j,
                        product: &product))
                let last = -((poles[j] - origins[n - 1]) - offsets[n - 1])
                let magnitude = (product * last).magnitude.squareRoot()
                weights.base[j] = weights[j] < 0 ? -magnitude : magnitude
            }
        }
    }

    /// ẑ_j/(d_j − λ_i), brought to length 1.
    func vector(_ i: Int, into vector: PaddedRun) {
        kernels.vector(
            SecularVector(
                poles: poles.base, weights: weights.base, count: poles.count, origin: origins[i], offset: offsets[i],
                vector: vector.base))
    }
}
