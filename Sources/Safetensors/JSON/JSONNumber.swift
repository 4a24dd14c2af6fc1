/// A JSON number with the exact text it was written in.
///
/// Reading and writing a document therefore changes no digit, and a 64-bit byte offset never passes through a double.
public struct JSONNumber: Sendable, Equatable {
    /// Valid JSON number syntax.
    public let text: String

    /// Text that the parser has checked.
    init(verified text: String) {
        self.text = text
    }

    public init(_ value: Int) {
        text = String(value)
    }

    /// The shortest text that reads back as the same double; nil for NaN and infinities.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = value.description
    }

    /// The value where the text is an integer (no fraction, no exponent) that fits `Int`.
    public var int: Int? { Int(text) }

    /// As `int`, for offsets and sizes.
    public var uint64: UInt64? { UInt64(text) }

    /// The nearest double; nil where it would be infinite.
    public var double: Double? {
        Double(text).flatMap { $0.isFinite ? $0 : nil }
    }
}
