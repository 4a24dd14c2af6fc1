/// A string that is equal to another only if its UTF-8 bytes are.
///
/// `String` compares by canonical equivalence and so calls a precomposed and a decomposed "é" equal; vocabularies hold
/// both as different tokens. Use this as the key of dictionaries over text from files.
public struct UTF8Key: Hashable, Sendable {
    public let text: String

    @inlinable
    public init(_ text: String) {
        self.text = text
    }

    @inlinable
    public static func == (left: UTF8Key, right: UTF8Key) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
