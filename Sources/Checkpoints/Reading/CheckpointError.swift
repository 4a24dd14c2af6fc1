import Safetensors

/// A folder or file that is not a checkpoint, or one whose parts contradict each other.
public enum CheckpointError: Error, Equatable, Sendable {
    /// A safetensors file or a shard index is malformed or cannot be read.
    case safetensors(SafetensorsError)
    /// config.json is not JSON or cannot be read.
    case config(JSONError)
    case configNotObject(file: String)
    /// A file or folder of the checkpoint cannot be reached.
    case file(FileError)
    /// A folder without safetensors files.
    case noTensors(folder: String)
    /// Several safetensors files and no index that says which tensor is where.
    case noIndex(folder: String, files: [String])
    /// The index names a file that is not there.
    case shardMissing(shard: String, tensor: String)
    /// The index places a tensor in a shard that does not hold it.
    case tensorMissing(shard: String, tensor: String)
    /// A shard holds a tensor that the index does not place there.
    case tensorNotInIndex(shard: String, tensor: String)
    /// `low_rank_format_version` of a newer program, or not a number.
    case formatVersion(file: String, found: String)
    /// An entry of `low_rank_modules` without a schema.
    case moduleEntry(file: String, module: String)
    case noSuchTensor(checkpoint: String, tensor: String)
    /// The output has fewer tensors than were declared, or one twice.
    case duplicateTensor(tensor: String)
}

extension CheckpointError {
    /// The file that the error is about, where it is about one.
    public var filePath: String? {
        switch self {
        case .safetensors(let error): error.file
        case .config(let error): error.file
        case .file(let error): error.path
        case .configNotObject(let file), .formatVersion(let file, _), .moduleEntry(let file, _): file
        case .noTensors(let folder), .noIndex(let folder, _): folder
        case .shardMissing(let shard, _), .tensorMissing(let shard, _), .tensorNotInIndex(let shard, _): shard
        case .noSuchTensor(let checkpoint, _): checkpoint
        case .duplicateTensor: nil
        }
    }

    /// The tensor or module that the error is about, where it is about one.
    public var tensor: String? {
        switch self {
        case .safetensors(let error): error.tensor
        case .shardMissing(_, let tensor), .tensorMissing(_, let tensor), .tensorNotInIndex(_, let tensor),
            .noSuchTensor(_, let tensor), .duplicateTensor(let tensor):
            tensor
        case .moduleEntry(_, let module): module
        default: nil
        }
    }

    /// The failure of the system behind the error; nil where the input itself is at fault.
    public var systemFailure: FileError? {
        switch self {
        case .safetensors(let error):
            if case .file(let failure) = error.rule { failure } else { nil }
        case .config(let error):
            if case .unreadable(let failure) = error.rule { failure } else { nil }
        case .file(let failure): failure
        default: nil
        }
    }
}

extension CheckpointError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .safetensors(let error): error.description
        case .config(let error): error.description
        case .file(let error): error.description
        case .configNotObject(let file): "\(file): the configuration must be a JSON object"
        case .noTensors(let folder): "\(folder): no safetensors file; other weight formats must be converted first"
        case .noIndex(let folder, let files):
            "\(folder): \(files.count) safetensors files but neither model.safetensors nor \(ShardIndex.fileName)"
        case .shardMissing(let shard, let tensor): "\(shard): missing, although the index places \"\(tensor)\" in it"
        case .tensorMissing(let shard, let tensor):
            "\(shard): the index places \"\(tensor)\" here, but it is not in the file"
        case .tensorNotInIndex(let shard, let tensor): "\(shard): tensor \"\(tensor)\" is not placed here by the index"
        case .formatVersion(let file, let found):
            "\(file): low_rank_format_version \(found) is not known; expected 1 (use a newer program)"
        case .moduleEntry(let file, let module): "\(file): the entry of \"\(module)\" in low_rank_modules has no schema"
        case .noSuchTensor(let checkpoint, let tensor): "\(checkpoint): there is no tensor \"\(tensor)\""
        case .duplicateTensor(let tensor): "tensor \"\(tensor)\" is declared twice"
        }
    }
}
