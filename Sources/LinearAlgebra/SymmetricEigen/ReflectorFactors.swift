/// The numbers of one Householder reflector H = I − τ v vᵀ with v₀ = 1 that maps x to β e₀.
///
/// - Source: LAPACK `dlarfg`.
/// - Departure: a tail whose square is below `Double.negligibleSquare` is taken as zero (τ = 0), so nothing needs rescaling.
///   Callers scale their matrix to a largest element near 1; what is dropped is then far below rounding.
struct ReflectorFactors {
    let tau: Double
    let beta: Double
    /// v = scale · x for the tail.
    let scale: Double

    /// - Parameters:
    ///   - head: x₀.
    ///   - tailSquare: Σ x_i² over i > 0.
    init(head: Double, tailSquare: Double) {
        guard tailSquare > Double.negligibleSquare else {
            tau = 0
            beta = head
            scale = 0
            return
        }
        let norm = (head * head + tailSquare).squareRoot()
        beta = head > 0 ? -norm : norm
        tau = (beta - head) / beta
        scale = 1 / (head - beta)
    }
}
