/// `model.safetensors.index.json`: which file of a folder holds which tensor.
///
/// ```json
/// {"metadata": {"total_size": 26953670656}, "weight_map": {"lm_head.weight": "model-00003-of-00003.safetensors"}}
/// ```
///
/// A shard must be the plain name of a file beside the index, so that an index cannot reach outside of its folder.
/// Whether the files exist and hold what the index says is for the reader of the folder to check.
public struct ShardIndex: Sendable {
    /// The name of the index in a Hugging Face folder.
    public static let fileName = "model.safetensors.index.json"

    /// Tensor names with their file, in the order of the index.
    public let weightMap: [(tensor: String, file: String)]
    /// Everything under `metadata`; null where there is none.
    public let metadata: JSON

    /// `metadata.total_size`, the bytes of all tensors; nil where it is missing or not a whole number.
    public var totalSize: Int? { metadata["total_size"]?.int }

    /// The files, each once, in the order of their names.
    public var files: [String] {
        Set(weightMap.map { UTF8Key($0.file) }).map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    public init(weightMap: [(tensor: String, file: String)], metadata: JSON) {
        self.weightMap = weightMap
        self.metadata = metadata
    }

    /// - Throws: `.file`, `.indexJSON`, `.indexWithoutWeightMap`, `.indexEntryNotString` or `.shardName`.
    public init(path: String) throws(SafetensorsError) {
        let json: JSON
        do {
            json = try JSON.parse(file: path)
        } catch {
            if case .unreadable(let failure) = error.rule { throw SafetensorsError(file: path, .file(failure)) }
            throw SafetensorsError(file: path, .indexJSON(error))
        }
        guard let map = json["weight_map"]?.object else { throw SafetensorsError(file: path, .indexWithoutWeightMap) }
        var weightMap: [(tensor: String, file: String)] = []
        weightMap.reserveCapacity(map.count)
        for (tensor, value) in map.entries {
            guard let file = value.string else {
                throw SafetensorsError(file: path, tensor: tensor, .indexEntryNotString)
            }
            guard Self.isPlainName(file) else {
                throw SafetensorsError(file: path, tensor: tensor, .shardName(found: file))
            }
            weightMap.append((tensor, file))
        }
        self.weightMap = weightMap
        metadata = json["metadata"] ?? .null
    }

    /// The index as a document, tensors in the order given.
    public var json: JSON {
        [
            "metadata": metadata,
            "weight_map": .object(JSONObject(weightMap.map { (key: $0.tensor, value: JSON($0.file)) })),
        ]
    }

    private static func isPlainName(_ name: String) -> Bool {
        let separators: [UInt8] = [UInt8(ascii: "/"), UInt8(ascii: "\\"), 0]
        return !["", ".", ".."].contains(name) && !name.utf8.contains(where: separators.contains)
    }
}
