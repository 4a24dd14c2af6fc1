import Foundation
import Safetensors

/// The weight files of a checkpoint, opened, with the place of every tensor.
///
/// A folder is read as the transformers library reads it: `model.safetensors`, else the shards that the index names,
/// else the only safetensors file there is. A tensor is read only from where the index places it.
struct CheckpointFiles {
    let files: [SafetensorsFile]
    /// File of each tensor, as an index in `files`.
    let places: [(tensor: TensorInfo, file: Int)]
    let warnings: [CheckpointWarning]
    /// `metadata` of the index; null without one.
    let indexMetadata: JSON

    static let singleFileName = "model.safetensors"

    init(folder: String, access: SafetensorsFile.Access) throws(CheckpointError) {
        let indexPath = folder + "/" + ShardIndex.fileName
        let hasIndex = FileManager.default.fileExists(atPath: indexPath)
        let single = folder + "/" + Self.singleFileName
        if FileManager.default.fileExists(atPath: single) {
            try self.init(file: single, access: access, warnings: hasIndex ? [.ignoredIndex(file: indexPath)] : [])
        } else if hasIndex {
            try self.init(index: indexPath, in: folder, access: access)
        } else {
            try self.init(file: try Self.onlySafetensorsFile(in: folder), access: access)
        }
    }

    init(
        file path: String, access: SafetensorsFile.Access, warnings: [CheckpointWarning] = []
    ) throws(CheckpointError) {
        let file = try Self.open(path, access)
        files = [file]
        places = file.tensors.map { ($0, 0) }
        self.warnings = warnings
        indexMetadata = .null
    }

    private init(index path: String, in folder: String, access: SafetensorsFile.Access) throws(CheckpointError) {
        let index: ShardIndex
        do {
            index = try ShardIndex(path: path)
        } catch {
            throw .safetensors(error)
        }
        let files = try Self.openShards(of: index, in: folder, access)
        places = try Self.places(of: index, in: files)
        self.files = files
        indexMetadata = index.metadata
        let bytes = places.reduce(0) { $0 + $1.tensor.byteCount }
        warnings = index.totalSize == bytes ? [] : [.totalSize(expected: bytes, found: index.totalSize)]
    }

    private static func openShards(
        of index: ShardIndex, in folder: String, _ access: SafetensorsFile.Access
    ) throws(CheckpointError) -> [SafetensorsFile] {
        var files: [SafetensorsFile] = []
        for name in index.files {
            do {
                files.append(try open(folder + "/" + name, access))
            } catch {
                guard error.systemFailure?.isMissingFile == true,
                    let tensor = index.weightMap.first(where: { $0.file == name })?.tensor
                else { throw error }
                throw .shardMissing(shard: folder + "/" + name, tensor: tensor)
            }
        }
        return files
    }

    private static func places(
        of index: ShardIndex, in files: [SafetensorsFile]
    ) throws(CheckpointError) -> [(tensor: TensorInfo, file: Int)] {
        let positions = Dictionary(uniqueKeysWithValues: zip(index.files.map(UTF8Key.init), files.indices))
        var places: [(tensor: TensorInfo, file: Int)] = []
        places.reserveCapacity(index.weightMap.count)
        var placed = [Int](repeating: 0, count: files.count)
        for (name, shard) in index.weightMap {
            guard let position = positions[UTF8Key(shard)], let tensor = files[position].tensor(named: name) else {
                throw .tensorMissing(shard: shard, tensor: name)
            }
            places.append((tensor, position))
            placed[position] += 1
        }
        for (file, count) in zip(files, placed) where file.tensors.count > count {
            let here = Set(places.lazy.filter { files[$0.file] === file }.map { UTF8Key($0.tensor.name) })
            if let extra = file.tensors.first(where: { !here.contains(UTF8Key($0.name)) }) {
                throw .tensorNotInIndex(shard: file.path, tensor: extra.name)
            }
        }
        return places
    }

    private static func onlySafetensorsFile(in folder: String) throws(CheckpointError) -> String {
        let names = try namesOfFolder(folder).filter { $0.hasSuffix(".safetensors") }
        guard let name = names.first else { throw .noTensors(folder: folder) }
        guard names.count == 1 else { throw .noIndex(folder: folder, files: names) }
        return folder + "/" + name
    }

    private static func open(
        _ path: String, _ access: SafetensorsFile.Access
    ) throws(CheckpointError) -> SafetensorsFile {
        do {
            return try SafetensorsFile(path: path, access: access)
        } catch {
            throw .safetensors(error)
        }
    }
}

/// The names in a folder, in the order of their bytes.
func namesOfFolder(_ folder: String) throws(CheckpointError) -> [String] {
    do {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    } catch {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        throw .file(FileError(.list, folder, code: Int32(underlying?.code ?? Int(EIO))))
    }
}
