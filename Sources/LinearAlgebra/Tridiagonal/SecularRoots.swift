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
    private let poles: [Double]
    /// The pole that root i is counted from, and its distance: d_j − λ_i = (d_j − origins[i]) − offsets[i].
    private var origins: [Double]
    private var offsets: [Double]
    private var weights: [Double]

    private static let strip = 16

    init(_ deflation: RankOneDeflation, rho: Double) throws(LinearAlgebraError) {
        poles = deflation.d
        let n = poles.count
        var found = [Result<SecularEquation.Root, LinearAlgebraError>](
            repeating: .success(.init(origin: 0, offset: 0)), count: n)
        deflation.d.withUnsafeBufferPointer { d in
            deflation.z.withUnsafeBufferPointer { z in
                found.withUnsafeMutableBufferPointer { found in
                    nonisolated(unsafe) let equation = SecularEquation(d: d, z: z, rho: rho)
                    nonisolated(unsafe) let found = found
                    parallelFor((n + Self.strip - 1) / Self.strip) { piece in
                        for i in (piece * Self.strip)..<min((piece + 1) * Self.strip, n) {
                            do throws(LinearAlgebraError) {
                                found[i] = .success(try equation.root(i))
                            } catch {
                                found[i] = .failure(error)
                            }
                        }
                    }
                }
            }
        }
        origins = []
        offsets = []
        for result in found {
            let root = try result.get()
            origins.append(poles[root.origin])
            offsets.append(root.offset)
        }
        values = zip(origins, offsets).map { $0 + $1 }
        weights = deflation.z
        recomputeWeights()
    }

    /// ẑ_j² = (λ_{n−1} − d_j) · Π_{i<j} (λ_i − d_j)/(d_i − d_j) · Π_{j≤i<n−1} (λ_i − d_j)/(d_{i+1} − d_j), up to 1/ρ.
    ///
    /// All quotients are in 0 … 1, so no partial product is below the whole.
    private mutating func recomputeWeights() {
        let n = poles.count
        let (poles, origins, offsets) = (poles, origins, offsets)
        weights.withUnsafeMutableBufferPointer { weights in
            nonisolated(unsafe) let weights = weights
            parallelFor((n + Self.strip - 1) / Self.strip) { piece in
                for j in (piece * Self.strip)..<min((piece + 1) * Self.strip, n) {
                    let magnitude = Self.weight(j, poles, origins, offsets)
                    weights[j] = weights[j] < 0 ? -magnitude : magnitude
                }
            }
        }
    }

    private static func weight(_ j: Int, _ poles: [Double], _ origins: [Double], _ offsets: [Double]) -> Double {
        let n = poles.count
        let products = poles.withUnsafeBufferPointer { d in
            origins.withUnsafeBufferPointer { origins in
                offsets.withUnsafeBufferPointer { offsets in
                    guard let d = d.baseAddress, let o = origins.baseAddress, let x = offsets.baseAddress else {
                        return 0.0
                    }
                    return product(d[j], o, x, d, count: j) * product(d[j], o + j, x + j, d + j + 1, count: n - 1 - j)
                }
            }
        }
        let last = -((poles[j] - origins[n - 1]) - offsets[n - 1])
        return (products * last).magnitude.squareRoot()
    }

    /// Π ((pole − origins[i]) − offsets[i]) / (pole − poles[i]).
    @inline(__always)
    private static func product(
        _ pole: Double, _ origins: UnsafePointer<Double>, _ offsets: UnsafePointer<Double>,
        _ poles: UnsafePointer<Double>, count: Int
    ) -> Double {
        typealias Lanes = SIMD8<Double>
        let o = UnsafeRawPointer(origins), x = UnsafeRawPointer(offsets), d = UnsafeRawPointer(poles)
        let all = Lanes(repeating: pole)
        var products = Lanes(repeating: 1)
        var i = 0
        while i + 8 <= count {
            let numerators =
                (all - o.loadUnaligned(fromByteOffset: i * 8, as: Lanes.self))
                - x.loadUnaligned(fromByteOffset: i * 8, as: Lanes.self)
            products *= numerators / (all - d.loadUnaligned(fromByteOffset: i * 8, as: Lanes.self))
            i += 8
        }
        var product = 1.0
        for lane in 0..<8 { product *= products[lane] }
        while i < count {
            product *= ((pole - origins[i]) - offsets[i]) / (pole - poles[i])
            i += 1
        }
        return product
    }

    /// ẑ_j/(d_j − λ_i), brought to length 1.
    func vector(_ i: Int, into vector: inout [Double]) {
        let n = poles.count
        let origin = origins[i], offset = offsets[i]
        var squares = 0.0
        poles.withUnsafeBufferPointer { d in
            weights.withUnsafeBufferPointer { z in
                vector.withUnsafeMutableBufferPointer { u in
                    for j in 0..<n { u[j] = z[j] / ((d[j] - origin) - offset) }
                    var partial = SIMD8<Double>.zero
                    var j = 0
                    while j + 8 <= n {
                        for lane in 0..<8 { partial[lane] += u[j + lane] * u[j + lane] }
                        j += 8
                    }
                    for lane in 0..<8 { squares += partial[lane] }
                    while j < n {
                        squares += u[j] * u[j]
                        j += 1
                    }
                    let inverse = 1 / squares.squareRoot()
                    for j in 0..<n { u[j] *= inverse }
                }
            }
        }
    }
}
