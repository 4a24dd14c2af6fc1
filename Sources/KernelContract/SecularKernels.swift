/// The loops of tridiagonal eigenproblems: those of a rank-one correction diag(d) + ρ·z·zᵀ of a diagonal matrix, and
/// twisted factorizations; all in Double, bound by divisions.
///
/// A root is λ = origin + offset, so that d_j − λ = (d_j − origin) − offset has full relative accuracy. Every array can
/// be read up to the next multiple of `padding` and one number beyond.
public struct SecularKernels: Sendable {
    public var sums: Kernel<SecularSums>
    public var product: Kernel<SecularProduct>
    public var vector: Kernel<SecularVector>
    public var twistedVectors: Kernel<TwistedVectors>

    /// Numbers of the widest vector.
    public static var padding: Int { 8 }

    public init(
        sums: Kernel<SecularSums>, product: Kernel<SecularProduct>, vector: Kernel<SecularVector>,
        twistedVectors: Kernel<TwistedVectors>
    ) {
        self.sums = sums
        self.product = product
        self.vector = vector
        self.twistedVectors = twistedVectors
    }
}

/// Σ z_j²/(d_j − λ) and Σ (z_j/(d_j − λ))² over the poles below one position, and over those from another on.
@frozen
public struct SecularSums {
    public var poles: UnsafePointer<Double>
    public var weights: UnsafePointer<Double>
    public var count: Int
    /// Poles 0 ..< lower are summed, and poles upper ..< count.
    public var lower: Int
    public var upper: Int
    public var origin: Double
    public var offset: Double
    /// Receives sum and sum of squares of either range.
    public var sums: UnsafeMutablePointer<Double>

    public init(
        poles: UnsafePointer<Double>, weights: UnsafePointer<Double>, count: Int, lower: Int, upper: Int,
        origin: Double, offset: Double, sums: UnsafeMutablePointer<Double>
    ) {
        self.poles = poles
        self.weights = weights
        self.count = count
        self.lower = lower
        self.upper = upper
        self.origin = origin
        self.offset = offset
        self.sums = sums
    }
}

/// Π_{i<j} (d_j − λ_i)/(d_j − d_i) · Π_{j≤i<n−1} (d_j − λ_i)/(d_j − d_{i+1}).
@frozen
public struct SecularProduct {
    public var poles: UnsafePointer<Double>
    public var origins: UnsafePointer<Double>
    public var offsets: UnsafePointer<Double>
    /// n.
    public var count: Int
    /// j.
    public var index: Int
    public var product: UnsafeMutablePointer<Double>

    public init(
        poles: UnsafePointer<Double>, origins: UnsafePointer<Double>, offsets: UnsafePointer<Double>, count: Int,
        index: Int, product: UnsafeMutablePointer<Double>
    ) {
        self.poles = poles
        self.origins = origins
        self.offsets = offsets
        self.count = count
        self.index = index
        self.product = product
    }
}

/// vector_j ← z_j/(d_j − λ), brought to length 1.
@frozen
public struct SecularVector {
    public var poles: UnsafePointer<Double>
    public var weights: UnsafePointer<Double>
    public var count: Int
    public var origin: Double
    public var offset: Double
    /// Written up to the next multiple of `SecularKernels.padding`.
    public var vector: UnsafeMutablePointer<Double>

    public init(
        poles: UnsafePointer<Double>, weights: UnsafePointer<Double>, count: Int, origin: Double, offset: Double,
        vector: UnsafeMutablePointer<Double>
    ) {
        self.poles = poles
        self.weights = weights
        self.count = count
        self.origin = origin
        self.offset = offset
        self.vector = vector
    }
}
