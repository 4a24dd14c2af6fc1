/// A tensor as the header of its file describes it.
public struct TensorInfo: Equatable, Sendable {
    public let name: String
    public let dtype: TensorDType
    /// Empty for a single number; a side may be 0.
    public let shape: [Int]
    /// Where its bytes are, counted from the start of the file.
    public let byteRange: Range<Int>

    public init(name: String, dtype: TensorDType, shape: [Int], byteRange: Range<Int>) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.byteRange = byteRange
    }

    public var elementCount: Int { shape.reduce(1, *) }
    public var byteCount: Int { byteRange.count }
}
