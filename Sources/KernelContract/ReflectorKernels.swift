/// Householder reflectors I − τ v vᵀ on blocks that are too small to be worth packing.
public struct ReflectorKernels: Sendable {
    /// The kernels that exist once for each type of the arithmetic.
    public struct Arithmetic: Sendable {
        /// One step of a bulge chase.
        public var chase: Kernel<ChaseStep>
        /// A block of staggered reflectors on a panel of vectors.
        public var applyBlock: Kernel<StaggeredReflectors>
        /// work ← work + Vᵀ x for some rows of reflectors that start at the same row.
        public var projectRows: Kernel<ReflectorRows>
        /// x ← x − V work for them.
        public var subtractRows: Kernel<ReflectorRows>
        /// work ← T work between the two.
        public var mix: Kernel<ReflectorMixing>
        /// A block of staggered reflectors, from its reflectors.
        public var makeBlock: Kernel<StaggeredBlock>
        public var triangularFactor: Kernel<TriangularFactor>
        /// A pass over a symmetric matrix, with an update and a product.
        public var symmetricSweep: Kernel<SymmetricSweep>
        /// A product of small matrices.
        public var tileProduct: Kernel<TileProduct>
        public var termSum: Kernel<TermSum>

        public init(
            chase: Kernel<ChaseStep>, applyBlock: Kernel<StaggeredReflectors>, projectRows: Kernel<ReflectorRows>,
            subtractRows: Kernel<ReflectorRows>, mix: Kernel<ReflectorMixing>, makeBlock: Kernel<StaggeredBlock>,
            triangularFactor: Kernel<TriangularFactor>, symmetricSweep: Kernel<SymmetricSweep>,
            tileProduct: Kernel<TileProduct>, termSum: Kernel<TermSum>
        ) {
            self.chase = chase
            self.applyBlock = applyBlock
            self.projectRows = projectRows
            self.subtractRows = subtractRows
            self.mix = mix
            self.makeBlock = makeBlock
            self.triangularFactor = triangularFactor
            self.symmetricSweep = symmetricSweep
            self.tileProduct = tileProduct
            self.termSum = termSum
        }
    }

    public var float32: Arithmetic
    public var float64: Arithmetic
    /// QR of eight columns, in Double.
    public var factorStrip: Kernel<StripFactorization>
    /// The reflectors of eight columns on other columns, in Double.
    public var updateStrips: Kernel<StripUpdate>
    /// Columns of a matrix to strips, and back.
    public var readStrips: Kernel<StripTransfer>
    public var writeStrips: Kernel<StripTransfer>

    public init(
        float32: Arithmetic, float64: Arithmetic, factorStrip: Kernel<StripFactorization>,
        updateStrips: Kernel<StripUpdate>, readStrips: Kernel<StripTransfer>, writeStrips: Kernel<StripTransfer>
    ) {
        self.float32 = float32
        self.float64 = float64
        self.factorStrip = factorStrip
        self.updateStrips = updateStrips
        self.readStrips = readStrips
        self.writeStrips = writeStrips
    }
}

/// One step of the sweep that annihilates column `sweep` of a symmetric band matrix below its first subdiagonal.
///
/// Step 0 makes the reflector of that column. A later step applies the reflector of the step before to the block below
/// the diagonal from the right, and makes the one that annihilates the block's first column. Either applies it to the
/// diagonal block from both sides. Elements (i, j) with i − 2b < j ≤ i + b must have memory of their own, and a cache
/// line on either side of them be readable and finite: it is written back unchanged. All is in Double or all in Float;
/// l is the number of elements in a cache line.
@frozen
public struct ChaseStep {
    /// Element (0, 0); element (i, j) is at origin + i · rowStride + j. Rows start at cache lines.
    public var origin: UnsafeMutableRawPointer
    public var rowStride: Int
    /// Order of the matrix.
    public var size: Int
    /// b, a multiple of l.
    public var bandwidth: Int
    public var sweep: Int
    public var step: Int
    /// The reflector of the step before, from element (sweep + 1) mod l on, zeros around it (b + 2l, aligned).
    public var previous: UnsafeMutableRawPointer
    public var previousTau: Double
    /// Receives the new reflector in the same form.
    public var current: UnsafeMutableRawPointer
    /// Scratch (2 · (b + 2l), aligned).
    public var work: UnsafeMutableRawPointer
    /// Tail squares below this are taken as zero.
    public var negligibleSquare: Double
    /// Receives τ of the new reflector.
    public var tau: UnsafeMutableRawPointer

    public init(
        origin: UnsafeMutableRawPointer, rowStride: Int, size: Int, bandwidth: Int, sweep: Int, step: Int,
        previous: UnsafeMutableRawPointer, previousTau: Double, current: UnsafeMutableRawPointer,
        work: UnsafeMutableRawPointer, negligibleSquare: Double, tau: UnsafeMutableRawPointer
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
    /// V with T behind it, and x, that will be needed next, which caches are asked for meanwhile.
    public var nextV: UnsafeRawPointer
    public var nextX: UnsafeRawPointer

    /// Columns of a panel of numbers of that many bytes: three vectors of the widest instruction set, whole numbers of
    /// three of the others.
    @inlinable
    public static func panelColumns(elementBytes: Int) -> Int { 192 / elementBytes }

    public init(
        v: UnsafeRawPointer, t: UnsafeRawPointer, x: UnsafeMutableRawPointer, length: Int, count: Int,
        work: UnsafeMutableRawPointer, nextV: UnsafeRawPointer? = nil, nextX: UnsafeRawPointer? = nil
    ) {
        self.v = v
        self.t = t
        self.x = x
        self.length = length
        self.count = count
        self.work = work
        self.nextV = nextV ?? v
        self.nextX = nextX ?? UnsafeRawPointer(x)
    }
}
