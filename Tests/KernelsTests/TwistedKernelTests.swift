import Foundation
import KernelContract
import MatrixCore
import Testing

@testable import Kernels

/// Eigenvectors of the second difference, which are sines, from its eigenvalues.
@Suite struct TwistedKernelTests {
    /// Eigenvalue k = 1 … n of the matrix with 1 on the diagonal and −½ beside it.
    private static func value(_ k: Int, _ n: Int) -> Double { 1 - cos(Double(k) * .pi / Double(n + 1)) }

    /// The result of the kernel for eight values: vectors (n × 8) and residuals.
    private func vectors(
        _ values: [Double], _ diagonal: [Double], _ offDiagonal: [Double], _ set: InstructionSet
    ) -> (vectors: [Double], residuals: [Double]) {
        let n = diagonal.count, lanes = TwistedVectors.lanes
        var vectors = [Double](repeating: .nan, count: n * lanes), residuals = [Double](repeating: .nan, count: lanes)
        var work = [Double](repeating: .nan, count: 2 * n * lanes)
        vectors.withUnsafeMutableBufferPointer { vectors in
            residuals.withUnsafeMutableBufferPointer { residuals in
                work.withUnsafeMutableBufferPointer { work in
                    guard let v = vectors.baseAddress, let r = residuals.baseAddress, let w = work.baseAddress else {
                        return
                    }
                    set.kernels.secular.twistedVectors(
                        TwistedVectors(
                            diagonal: diagonal, offDiagonal: offDiagonal, count: n, values: values, vectors: v,
                            residuals: r, work: w))
                }
            }
        }
        return (vectors, residuals)
    }

    @Test(arguments: InstructionSet.available)
    func vectorsOfTheSecondDifferenceAreSines(_ set: InstructionSet) {
        for n in [1, 2, 3, 7, 8, 9, 40, 101] {
            let chosen = (0..<TwistedVectors.lanes).map { 1 + $0 * (n - 1) / (TwistedVectors.lanes - 1) }
            let found = vectors(
                chosen.map { Self.value($0, n) }, [Double](repeating: 1, count: n),
                [Double](repeating: -0.5, count: max(n - 1, 1)), set)
            for (lane, k) in chosen.enumerated() {
                let sines = (1...n).map { sin(Double(k * $0) * .pi / Double(n + 1)) }
                let scale = (2 / Double(n + 1)).squareRoot()
                let sign: Double = found.vectors[lane] * sines[0] < 0 ? -1 : 1
                let difference = (0..<n).reduce(0.0) { difference, i in
                    let number = found.vectors[i * TwistedVectors.lanes + lane]
                    return max(difference, (number - sign * scale * sines[i]).magnitude)
                }
                #expect(difference <= 1e-12, "order \(n), vector \(k)")
                #expect(found.residuals[lane] <= 1e-14, "order \(n), vector \(k)")
            }
        }
    }

    /// A number near an eigenvalue leaves a residual in the row where the vector is largest: its distance over the
    /// number there, here √(2/(n + 1)).
    @Test(arguments: InstructionSet.available)
    func theResidualTellsHowFarAValueIsOff(_ set: InstructionSet) {
        let n = 40, distance = 1e-5
        let values = (0..<TwistedVectors.lanes).map { Self.value(10 + $0, n) + distance }
        let found = vectors(values, [Double](repeating: 1, count: n), [Double](repeating: -0.5, count: n - 1), set)
        for residual in found.residuals {
            #expect((residual / distance * (2 / Double(n + 1)).squareRoot() - 1).magnitude < 1e-2)
        }
    }

    /// Zeros among the pivots: the eigenvalue 0 of a matrix with zeros on its diagonal.
    @Test(arguments: InstructionSet.available)
    func aPivotMayBeZero(_ set: InstructionSet) {
        let found = vectors([Double](repeating: 0, count: 8), [0, 0, 0, 0, 0], [1, 0.5, 1, 0.5], set)
        // The null vector of the path: (½, 0, −1, 0, 2) up to its length.
        let null = [0.5, 0, -1, 0, 2].map { $0 / 5.25.squareRoot() }
        let sign: Double = found.vectors[0] < 0 ? -1 : 1
        for i in 0..<5 { #expect((sign * found.vectors[i * 8] - null[i]).magnitude < 1e-14) }
        #expect(found.residuals.allSatisfy { $0 < 1e-14 })
    }
}
