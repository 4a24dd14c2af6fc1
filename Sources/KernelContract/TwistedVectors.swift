/// Eigenvectors of a symmetric tridiagonal matrix T from their eigenvalues, eight at a time; all in Double.
///
/// T − λ is factored from the top, L D⁺ Lᵀ, and from the bottom, U D⁻ Uᵀ. Where both meet, in row r, the vector z with
/// z_r = 1 that solves all other rows leaves γ_r there; the r with the least |γ_r| is where the eigenvector is large.
@frozen
public struct TwistedVectors {
    /// Vectors that are computed together.
    @inlinable public static var lanes: Int { 8 }

    /// d (count), with |d| and |e| of about 1 or less.
    public var diagonal: UnsafePointer<Double>
    /// e (count − 1).
    public var offDiagonal: UnsafePointer<Double>
    public var count: Int
    /// λ (lanes).
    public var values: UnsafePointer<Double>
    /// Receives the vectors, of length 1, as columns (count × lanes).
    public var vectors: UnsafeMutablePointer<Double>
    /// Receives ‖T z − λ z‖ (lanes); NaN where a vector is not one.
    public var residuals: UnsafeMutablePointer<Double>
    /// Scratch (2 · count × lanes).
    public var work: UnsafeMutablePointer<Double>

    public init(
        diagonal: UnsafePointer<Double>, offDiagonal: UnsafePointer<Double>, count: Int,
        values: UnsafePointer<Double>, vectors: UnsafeMutablePointer<Double>,
        residuals: UnsafeMutablePointer<Double>, work: UnsafeMutablePointer<Double>
    ) {
        self.diagonal = diagonal
        self.offDiagonal = offDiagonal
        self.count = count
        self.values = values
        self.vectors = vectors
        self.residuals = residuals
        self.work = work
    }
}
