/// The header of a safetensors file, read with every rule of the format.
///
/// A file is the length of its header (8 bytes, little-endian), the header (a JSON object), and the data. The header
/// maps names to `{"dtype", "shape", "data_offsets"}`, offsets counted from the end of the header, and `__metadata__`
/// to pairs of strings. The data of all tensors must follow each other without hole or overlap up to the end of the
/// file, so that nothing can hide between them.
///
/// - Source: the format section of the safetensors README. Stricter than the reference library in that unknown fields
///   of an entry, repeated keys, and padding other than spaces are refused.
struct SafetensorsHeader {
    /// As in the reference library.
    static let lengthLimit = 100_000_000
    static let lengthBytes = 8

    let metadata: [String: String]
    /// In the order of their data.
    let tensors: [TensorInfo]

    /// - Parameters:
    ///   - bytes: the header without its length.
    ///   - fileBytes: size of the whole file.
    init(_ bytes: UnsafeRawBufferPointer, file: String, fileBytes: Int) throws(SafetensorsError) {
        let members = try Self.members(of: bytes, file: file)
        let dataStart = Self.lengthBytes + bytes.count
        var metadata: [String: String] = [:]
        var tensors: [TensorInfo] = []
        tensors.reserveCapacity(members.count)
        for (name, value) in members.entries {
            if name == "__metadata__" {
                metadata = try Self.metadata(from: value, file: file)
            } else {
                do {
                    tensors.append(try Self.tensor(name, from: value, dataStart: dataStart))
                } catch {
                    throw SafetensorsError(file: file, tensor: name, error)
                }
            }
        }
        self.metadata = metadata
        self.tensors = try Self.checkedLayout(of: tensors, from: dataStart, file: file, fileBytes: fileBytes)
    }

    /// Reads the length of the header.
    ///
    /// - Parameter bytes: the first 8 bytes of the file, or fewer if it has fewer.
    static func length(from bytes: UnsafeRawBufferPointer, file: String, fileBytes: Int) throws(SafetensorsError) -> Int
    {
        guard fileBytes >= lengthBytes else { throw SafetensorsError(file: file, .tooShort(bytes: fileBytes)) }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= lengthLimit else {
            throw SafetensorsError(file: file, .headerTooLong(bytes: length, limit: lengthLimit))
        }
        guard Int(length) <= fileBytes - lengthBytes else {
            throw SafetensorsError(
                file: file, .headerBeyondFile(bytes: Int(length), available: fileBytes - lengthBytes))
        }
        return Int(length)
    }

    private static func members(of bytes: UnsafeRawBufferPointer, file: String) throws(SafetensorsError) -> JSONObject {
        guard bytes.first == UInt8(ascii: "{") else {
            throw SafetensorsError(file: file, .headerStart(found: bytes.first))
        }
        let json: JSON
        do {
            json = try JSON.parse(bytes)
        } catch {
            if error.rule == .trailingContent {
                throw SafetensorsError(file: file, .headerPadding(found: bytes[error.offset]))
            }
            throw SafetensorsError(file: file, .headerJSON(error))
        }
        // White space that JSON allows after the object but the format does not.
        if let last = bytes.last(where: { $0 != UInt8(ascii: " ") }), last != UInt8(ascii: "}") {
            throw SafetensorsError(file: file, .headerPadding(found: last))
        }
        return json.object ?? JSONObject()
    }

    private static func metadata(from value: JSON, file: String) throws(SafetensorsError) -> [String: String] {
        guard let members = value.object else { throw SafetensorsError(file: file, .metadataNotStrings(key: nil)) }
        var metadata: [String: String] = [:]
        for (key, value) in members.entries {
            guard let text = value.string else { throw SafetensorsError(file: file, .metadataNotStrings(key: key)) }
            metadata[key] = text
        }
        return metadata
    }

    private static func tensor(_ name: String, from value: JSON, dataStart: Int) throws(SafetensorsRule) -> TensorInfo {
        guard let entry = value.object else { throw .entryNotObject }
        let fields = ["dtype", "shape", "data_offsets"]
        if let unknown = entry.keys.first(where: { !fields.contains($0) }) { throw .unknownField(unknown) }
        if let missing = fields.first(where: { entry[$0] == nil }) { throw .missingField(missing) }
        let dtype = try dtype(from: entry["dtype"] ?? .null)
        let shape = try shape(from: entry["shape"] ?? .null)
        let offsets = try offsets(from: entry["data_offsets"] ?? .null, dataStart: dataStart)
        let expected = try dtype.byteCount(of: shape)
        guard offsets.count == expected else { throw .wrongByteCount(expected: expected, found: offsets.count) }
        return TensorInfo(name: name, dtype: dtype, shape: shape, byteRange: offsets)
    }

    private static func dtype(from value: JSON) throws(SafetensorsRule) -> TensorDType {
        guard let dtype = value.string.flatMap(TensorDType.init(rawValue:)) else {
            throw .unknownDType(found: value.text(pretty: false))
        }
        return dtype
    }

    private static func shape(from value: JSON) throws(SafetensorsRule) -> [Int] {
        guard let sides = value.array?.map(\.wholeNumber), !sides.contains(nil) else {
            throw .invalidShape(found: value.text(pretty: false))
        }
        return sides.compactMap { $0 }
    }

    private static func offsets(from value: JSON, dataStart: Int) throws(SafetensorsRule) -> Range<Int> {
        guard let offsets = value.array, offsets.count == 2,
            let start = offsets[0].wholeNumber, let end = offsets[1].wholeNumber,
            start <= end, end <= Int.max - dataStart
        else {
            throw .invalidOffsets(found: value.text(pretty: false))
        }
        return dataStart + start..<dataStart + end
    }

    /// The tensors in the order of their data, which must fill the file.
    private static func checkedLayout(
        of tensors: [TensorInfo], from dataStart: Int, file: String, fileBytes: Int
    ) throws(SafetensorsError) -> [TensorInfo] {
        // Empty tensors come before the one that starts where they stand; the stable order keeps the header's.
        let sorted = tensors.enumerated().sorted {
            ($0.element.byteRange.lowerBound, $0.element.byteRange.upperBound, $0.offset)
                < ($1.element.byteRange.lowerBound, $1.element.byteRange.upperBound, $1.offset)
        }.map(\.element)
        var end = dataStart
        for tensor in sorted {
            guard tensor.byteRange.lowerBound == end else {
                let rule = SafetensorsRule.notContiguous(
                    expected: end - dataStart, found: tensor.byteRange.lowerBound - dataStart)
                throw SafetensorsError(file: file, tensor: tensor.name, rule)
            }
            end = tensor.byteRange.upperBound
        }
        guard end == fileBytes else {
            throw SafetensorsError(file: file, .wrongFileSize(expected: end, found: fileBytes))
        }
        return sorted
    }
}

extension JSON {
    /// A number that is an integer from 0 to `Int.max`, without a sign.
    fileprivate var wholeNumber: Int? {
        guard let number, !number.text.hasPrefix("-") else { return nil }
        return number.int
    }
}
