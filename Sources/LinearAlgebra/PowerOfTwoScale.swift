import Kernels
import MatrixCore

/// - Throws: `nonFinite` with the first NaN or infinity, row by row.
func requireFinite<Element: MatrixElement>(_ a: MatrixView<Element>) throws(LinearAlgebraError) {
    if let place = firstNonFinite(MatrixOperand(a)) { throw .nonFinite(row: place.row, column: place.column) }
}

/// The power of two that brings the largest magnitude of a matrix to [1, 2), and back. Scaling by it is exact, apart
/// from entries that leave the range of the type because they are that much smaller than the largest.
struct PowerOfTwoScale<Element: FactorScalar>: Sendable {
    /// a · 2^(−exponent) has largest magnitude in [1, 2).
    let exponent: Int

    /// - Throws: `nonFinite`.
    init(of a: MatrixView<Element>) throws(LinearAlgebraError) {
        let largest = Element.largestMagnitude(a)
        if !largest.isFinite { try requireFinite(a) }
        // Factors must be numbers of the type themselves: subnormal inputs are scaled as far as that goes.
        let limit = Element.elementType == .float32 ? 126 : 1022
        exponent = largest == 0 ? 0 : max(-limit, min(limit, Int(largest.exponent)))
    }

    func factor() -> Element { Element(sign: .plus, exponent: Element.Exponent(-exponent), significand: 1) }
    func inverse() -> Element { Element(sign: .plus, exponent: Element.Exponent(exponent), significand: 1) }
}
