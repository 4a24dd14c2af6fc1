/// Householder reflectors I − τ v vᵀ on blocks that are too small to be worth packing; of Double, where nothing else
/// is said.
public struct ReflectorKernels: Sendable {
    /// One step of a bulge chase.
    public var chase: Kernel<ChaseStep>
    /// A block of reflectors on a panel of vectors, all in Double or all in Float.
    public var applyBlock64: Kernel<StaggeredReflectors>
    public var applyBlock32: Kernel<StaggeredReflectors>
    /// QR of eight columns.
    public var factorStrip: Kernel<StripFactorization>
    /// The reflectors of eight columns on other columns.
    public var updateStrips: Kernel<StripUpdate>
    /// A symmetric matrix on a panel.
    public var symmetricProduct: Kernel<SymmetricRowsProduct>

    public init(
        chase: Kernel<ChaseStep>, applyBlock64: Kernel<StaggeredReflectors>, applyBlock32: Kernel<StaggeredReflectors>,
        factorStrip: Kernel<StripFactorization>, updateStrips: Kernel<StripUpdate>,
        symmetricProduct: Kernel<SymmetricRowsProduct>
    ) {
        self.chase = chase
        self.applyBlock64 = applyBlock64
        self.applyBlock32 = applyBlock32
        self.factorStrip = factorStrip
        self.updateStrips = updateStrips
        self.symmetricProduct = symmetricProduct
    }
}

/// One step of the sweep that annihilates column `sweep` of a symmetric band matrix below its first subdiagonal.
///
/// Step 0 makes the reflector of that column. A later step applies the reflector of the step before to the block below
/// the diagonal from the right, and makes the one that annihilates the block's first column. Either applies it to the
/// diagonal block from both sides. Elements (i, j) with i − 2b < j ≤ i + b must have memory of their own, and eight
/// columns on either side of them be readable and finite: they are written back unchanged.
@frozen
public struct ChaseStep {
    /// Element (0, 0); element (i, j) is at origin + i · rowStride + j. Rows start at multiples of eight elements.
    public var origin: UnsafeMutablePointer<Double>
    public var rowStride: Int
    /// Order of the matrix.
    public var size: Int
    /// b, a multiple of eight.
    public var bandwidth: Int
    public var sweep: Int
    public var step: Int
    /// The reflector of the step before, from element (sweep + 1) mod 8 on, zeros around it (b + 16, aligned).
    public var previous: UnsafeMutablePointer<Double>
    public var previousTau: Double
    /// Receives the new reflector in the same form.
    public var current: UnsafeMutablePointer<Double>
    /// Scratch (2 · (b + 16), aligned).
    public var work: UnsafeMutablePointer<Double>
    /// Tail squares below this are taken as zero.
    public var negligibleSquare: Double
    /// Receives τ of the new reflector.
    public var tau: UnsafeMutablePointer<Double>

    public init(
        origin: UnsafeMutablePointer<Double>, rowStride: Int, size: Int, bandwidth: Int, sweep: Int, step: Int,
        previous: UnsafeMutablePointer<Double>, previousTau: Double, current: UnsafeMutablePointer<Double>,
        work: UnsafeMutablePointer<Double>, negligibleSquare: Double, tau: UnsafeMutablePointer<Double>
    ) {
        self.origin = origin
        self.rowStride = rowStride
        self.size = size
        self.bandwidth = bandwidth
        self.sweep = sweep
        self.step = step
        self.previous = previous
        self.previousTau = previousTau
        self.current = current
        self.work = work
        self.negligibleSquare = negligibleSquare
        self.tau = tau
    }
}

/// x ← (I − V T Vᵀ) x for reflectors of equal length that start one row after another.
///
/// V ((length + count) × count) is row-major; its column q is zero outside of rows q ..< q + length. T (count × count)
/// is upper triangular. x ((length + count) × `panelColumns`) is row-major without gaps.
@frozen
public struct StaggeredReflectors {
    public var v: UnsafeRawPointer
    public var t: UnsafeRawPointer
    public var x: UnsafeMutableRawPointer
    /// Rows that a reflector touches, a multiple of eight.
    public var length: Int
    /// Reflectors, a multiple of eight.
    public var count: Int
    /// Scratch (count × `panelColumns`).
    public var work: UnsafeMutableRawPointer

    /// Columns of a panel of numbers of that many bytes: three vectors of the widest instruction set, whole numbers of
    /// three of the others.
    @inlinable
    public static func panelColumns(elementBytes: Int) -> Int { 192 / elementBytes }

    public init(
        v: UnsafeRawPointer, t: UnsafeRawPointer, x: UnsafeMutableRawPointer, length: Int, count: Int,
        work: UnsafeMutableRawPointer
    ) {
        self.v = v
        self.t = t
        self.x = x
        self.length = length
        self.count = count
        self.work = work
    }
}
