/// Copies a rectangle of an operand into strips (see `BlockProduct`), widening it to the type of the arithmetic.
@frozen
public struct StripPacking {
    /// Element (i, p) of the rectangle is at source + (i · acrossStride + p · alongStride) · bytes of an element.
    public var source: UnsafeRawPointer
    /// How the source is stored, as a `StorageFormat`.
    public var format: Int
    public var acrossStride: Int
    public var alongStride: Int
    /// Length of the side that is cut into strips.
    public var across: Int
    /// Length of the side along which the product sums.
    public var depth: Int
    public var target: UnsafeMutableRawPointer

    public init(
        source: UnsafeRawPointer, format: Int, acrossStride: Int, alongStride: Int, across: Int, depth: Int,
        target: UnsafeMutableRawPointer
    ) {
        self.source = source
        self.format = format
        self.acrossStride = acrossStride
        self.alongStride = alongStride
        self.across = across
        self.depth = depth
        self.target = target
    }
}
