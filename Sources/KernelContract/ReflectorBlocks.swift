/// T of a block of reflectors I − V T Vᵀ = H₀ H₁ …, from VᵀV and their factors τ; all in Double or all in Float.
///
/// T (count × count) is upper triangular with zeros below. Row i is τ_i on the diagonal and −τ_i (VᵀV)_i T right of it,
/// so rows are made from the last to the first.
@frozen
public struct TriangularFactor {
    /// VᵀV (count × count), of which what is right of the diagonal is read; contiguous rows.
    public var gram: UnsafeRawPointer
    public var gramStride: Int
    /// τ (count).
    public var taus: UnsafeRawPointer
    /// From one τ to the next, in elements.
    public var tausStride: Int
    /// Receives T; contiguous rows, not the memory of `gram`.
    public var t: UnsafeMutableRawPointer
    public var tStride: Int
    public var count: Int

    public init(
        gram: UnsafeRawPointer, gramStride: Int, taus: UnsafeRawPointer, tausStride: Int = 1,
        t: UnsafeMutableRawPointer, tStride: Int, count: Int
    ) {
        self.gram = gram
        self.gramStride = gramStride
        self.taus = taus
        self.tausStride = tausStride
        self.t = t
        self.tStride = tStride
        self.count = count
    }
}

/// V and T of a block of staggered reflectors, as `StaggeredReflectors` takes them, from reflectors that are rows of a
/// matrix; all in Double or all in Float.
@frozen
public struct StaggeredBlock {
    /// Reflector q is in row q, at elements q ..< min(q + length, width); nothing else is read.
    public var reflectors: UnsafeRawPointer
    public var rowStride: Int
    /// Elements of a row that exist.
    public var width: Int
    /// Reflectors that exist; the others are the identity.
    public var present: Int
    /// τ of those that exist.
    public var taus: UnsafeRawPointer
    /// From one τ to the next, in elements.
    public var tausStride: Int
    /// A multiple of eight, as is `count`.
    public var length: Int
    public var count: Int
    /// Receives V ((length + count) × count).
    public var v: UnsafeMutableRawPointer
    /// Receives T (count × count).
    public var t: UnsafeMutableRawPointer
    /// Scratch (count × (count + 1)).
    public var work: UnsafeMutableRawPointer

    public init(
        reflectors: UnsafeRawPointer, rowStride: Int, width: Int, present: Int, taus: UnsafeRawPointer,
        tausStride: Int, length: Int, count: Int, v: UnsafeMutableRawPointer, t: UnsafeMutableRawPointer,
        work: UnsafeMutableRawPointer
    ) {
        self.reflectors = reflectors
        self.rowStride = rowStride
        self.width = width
        self.present = present
        self.taus = taus
        self.tausStride = tausStride
        self.length = length
        self.count = count
        self.v = v
        self.t = t
        self.work = work
    }
}

/// Some rows of a block of reflectors I − V T Vᵀ that start one row after another, and the same rows of a panel of
/// vectors, as `StaggeredReflectors` lays it out; all in Double or all in Float.
@frozen
public struct ReflectorRows {
    /// V (rows × count), row-major without gaps; further rows up to a multiple of eight are zero.
    public var v: UnsafeRawPointer
    /// Rows of V above these. Row i of V is zero right of column i.
    public var rowsAbove: Int
    /// x (rows × `panelColumns`), with memory for further rows up to a multiple of eight.
    public var x: UnsafeMutableRawPointer
    public var rows: Int
    /// Reflectors, a multiple of eight.
    public var count: Int
    /// (count × `panelColumns`)
    public var work: UnsafeMutableRawPointer
    /// V and x that will be needed next, which caches are asked for meanwhile.
    public var nextV: UnsafeRawPointer
    public var nextX: UnsafeRawPointer

    public init(
        v: UnsafeRawPointer, rowsAbove: Int, x: UnsafeMutableRawPointer, rows: Int, count: Int,
        work: UnsafeMutableRawPointer, nextV: UnsafeRawPointer? = nil, nextX: UnsafeRawPointer? = nil
    ) {
        self.v = v
        self.rowsAbove = rowsAbove
        self.x = x
        self.rows = rows
        self.count = count
        self.work = work
        self.nextV = nextV ?? v
        self.nextX = nextX ?? UnsafeRawPointer(x)
    }
}

/// work ← T work with T (count × count) upper triangular, zeros below, and work (count × `panelColumns`).
@frozen
public struct ReflectorMixing {
    public var t: UnsafeRawPointer
    public var work: UnsafeMutableRawPointer
    /// A multiple of eight.
    public var count: Int

    public init(t: UnsafeRawPointer, work: UnsafeMutableRawPointer, count: Int) {
        self.t = t
        self.work = work
        self.count = count
    }
}
