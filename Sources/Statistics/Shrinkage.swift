import MatrixCore

/// How far a moment of few tokens should be drawn towards a multiple of the identity.
///
/// With S = Σ x xᵀ / T for T tokens of n features and μ = tr S / n, the estimate (1 − α) S + α μ I of the true moment
/// has the least expected error for
///
///     α = min(b², d²) / d²,   d² = ‖S − μ I‖_F²,   b² = Σ ‖x xᵀ − S‖_F² / (T (T − 1))
///
/// where b² follows from Σ ‖x‖⁴. Up to a factor that metric is Σ x xᵀ + ridge · I.
///
/// - Source: Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004, for
///   moments about zero. Tokens of a text are not independent, so α is rather too small.
struct Shrinkage {
    /// α.
    let intensity: Double
    /// α μ T / (1 − α), what to add to the diagonal of Σ x xᵀ.
    let ridge: Double

    /// From here on α makes no difference to the perplexity of a compressed model; below, it wins up to a tenth of a
    /// nat at moderate ratios (measured at one to sixteen documents).
    static let enoughTokensPerFeature = 10

    /// Even one token says something about directions.
    private static let largestIntensity = 0.9

    init(of moments: InputMoments) {
        let tokens = Double(moments.tokens), features = Double(moments.features)
        guard moments.tokens > 0, moments.features > 0 else {
            intensity = 0
            ridge = 0
            return
        }
        let moment = moments.moment
        var trace = 0.0, square = 0.0
        for i in 0..<moments.features {
            trace += moment[i, i] / tokens
            for j in 0..<moments.features { square += moment[i, j] / tokens * (moment[i, j] / tokens) }
        }
        let mean = trace / features
        let distance = square - features * mean * mean
        let noise = moments.tokens > 1 ? (moments.fourthPowerSum / tokens - square) / (tokens - 1) : .infinity
        intensity = distance > 0 ? min(max(noise, 0) / distance, Self.largestIntensity) : 0
        ridge = intensity * mean * tokens / (1 - intensity)
    }
}
