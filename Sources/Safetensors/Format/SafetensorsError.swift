/// A safetensors file, or a shard index, that cannot be read, is malformed, or cannot be written.
public struct SafetensorsError: Error, Equatable, Sendable {
    public let file: String
    /// The tensor that the rule is about, where it is about one.
    public let tensor: String?
    public let rule: SafetensorsRule

    public init(file: String, tensor: String? = nil, _ rule: SafetensorsRule) {
        self.file = file
        self.tensor = tensor
        self.rule = rule
    }
}

/// What is expected of a safetensors file, named by how it is broken.
public enum SafetensorsRule: Error, Equatable, Sendable {
    // The system
    case file(FileError)

    // The header
    /// Fewer than the 8 bytes of the header's length.
    case tooShort(bytes: Int)
    case headerTooLong(bytes: UInt64, limit: Int)
    case headerBeyondFile(bytes: Int, available: Int)
    /// The header does not start with `{`; nil where it is empty.
    case headerStart(found: UInt8?)
    /// After the header's object something else than spaces.
    case headerPadding(found: UInt8)
    case headerJSON(JSONError)
    case metadataNotStrings(key: String?)

    // One tensor's entry
    case entryNotObject
    case missingField(String)
    case unknownField(String)
    case unknownDType(found: String)
    case invalidShape(found: String)
    case invalidOffsets(found: String)
    case sizeOverflow(dtype: TensorDType, shape: [Int])
    case partialByte(dtype: TensorDType, shape: [Int])
    case wrongByteCount(expected: Int, found: Int)

    // All tensors together
    /// The tensor starts before its predecessor ends, or leaves a hole after it.
    case notContiguous(expected: Int, found: Int)
    /// The last tensor does not end with the file.
    case wrongFileSize(expected: Int, found: Int)

    // Asking for a tensor
    case noSuchTensor
    case notNumbers(dtype: TensorDType)
    case notMatrix(shape: [Int])

    // A shard index
    case indexJSON(JSONError)
    case indexWithoutWeightMap
    case indexEntryNotString
    /// A shard's name that is not the plain name of a file beside the index.
    case shardName(found: String)

    // Writing
    case duplicateTensor
    case reservedName
    case unwritten(bytes: Int)
}

extension SafetensorsError: CustomStringConvertible {
    public var description: String {
        switch rule {
        case .file(let error):
            return error.description
        case .headerJSON(let error):
            return "\(file): header: \(error)"
        case .indexJSON(let error):
            return error.description  // Names the file itself.
        default:
            return file + (tensor.map { ": tensor \"\($0)\"" } ?? "") + ": " + rule.sentence
        }
    }
}

extension SafetensorsRule {
    /// What is wrong, without the file and the tensor.
    var sentence: String {
        switch self {
        case .file(let error): error.description
        case .headerJSON(let error), .indexJSON(let error): error.description
        case .tooShort(let bytes): "the file has \(bytes) bytes, fewer than the 8 of a header length"
        case .headerTooLong(let bytes, let limit):
            "no safetensors file: its first 8 bytes give a header of \(bytes) bytes, more than the \(limit) allowed"
        case .headerBeyondFile(let bytes, let available):
            "the header has \(bytes) bytes but the file holds only \(available) after its length"
        case .headerStart(let found):
            "the header must start with '{', found \(found.map(JSONError.name) ?? "no header")"
        case .headerPadding(let found):
            "only spaces may follow the object in the header, found \(JSONError.name(of: found))"
        case .metadataNotStrings(let key):
            "__metadata__ must map strings to strings" + (key.map { ", the value of \"\($0)\" is none" } ?? "")
        default: entrySentence
        }
    }

    private var entrySentence: String {
        switch self {
        case .entryNotObject: "the header entry must be an object"
        case .missingField(let name): "the header entry has no \(name)"
        case .unknownField(let name): "the header entry has the unknown field \"\(name)\""
        case .unknownDType(let found): "unknown dtype \(found)"
        case .invalidShape(let found): "the shape must be a list of whole numbers, found \(found)"
        case .invalidOffsets(let found): "data_offsets must be two ascending whole numbers, found \(found)"
        case .sizeOverflow(let dtype, let shape): "\(dtype.rawValue) \(shape) has more bits than can be counted"
        case .partialByte(let dtype, let shape): "\(dtype.rawValue) \(shape) does not fill whole bytes"
        case .wrongByteCount(let expected, let found): "expected \(expected) bytes for dtype and shape, found \(found)"
        case .notContiguous(let expected, let found):
            "the data must start at \(expected), where the tensor before ends, found \(found)"
        case .wrongFileSize(let expected, let found):
            "expected a file of \(expected) bytes by its header, found \(found)"
        default: useSentence
        }
    }

    private var useSentence: String {
        switch self {
        case .noSuchTensor: "there is no such tensor"
        case .notNumbers(let dtype): "\(dtype.rawValue) cannot be read as numbers; F64, F32, F16 and BF16 can"
        case .notMatrix(let shape): "expected a matrix, found shape \(shape)"
        case .indexWithoutWeightMap: "the index has no weight_map object"
        case .indexEntryNotString: "weight_map must name a file"
        case .shardName(let found): "expected the plain name of a file beside the index, found \"\(found)\""
        case .duplicateTensor: "the tensor is declared twice"
        case .reservedName: "__metadata__ cannot be the name of a tensor"
        case .unwritten(let bytes): "\(bytes) bytes were not written"
        default: "malformed"
        }
    }
}
