import Foundation
import Safetensors

extension Checkpoint {
    /// Files that belong to the model beside weights and configuration: tokenizer, generation config, chat template,
    /// licence, README, code.
    ///
    /// Weights in any format are left out, because they would be those of the dense model; so are reports of an earlier
    /// compression and hidden folders such as `.git`. Links to files count as files (the Hugging Face cache is made of
    /// them), links to folders are not followed.
    ///
    /// - Returns: paths inside the folder, in the order of their bytes; none for a single file.
    public func filesToCopy() throws(CheckpointError) -> [String] {
        isFolder ? try Self.filesToCopy(in: path, below: "") : []
    }

    private static func filesToCopy(in folder: String, below prefix: String) throws(CheckpointError) -> [String] {
        var files: [String] = []
        for name in try namesOfFolder(folder) {
            let path = folder + "/" + name
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
                if isLink || name.hasPrefix(".") || prefix.isEmpty && name == adapterFolder { continue }
                files += try filesToCopy(in: path, below: prefix + name + "/")
            } else if isCopied(name, isTopLevel: prefix.isEmpty) {
                files.append(prefix + name)
            }
        }
        return files
    }

    private static func isCopied(_ name: String, isTopLevel: Bool) -> Bool {
        let lowercased = name.lowercased()
        if weightEndings.contains(where: lowercased.hasSuffix) { return false }
        if weightBeginnings.contains(where: lowercased.hasPrefix) { return false }
        return !(isTopLevel && writtenAnew.contains(name))
    }

    /// An adapter for one compression, beside it.
    private static let adapterFolder = "peft"

    /// Files that every output has of its own.
    private static let writtenAnew: Set<String> = [configName, "report.json", "report.html", "report.md"]

    private static let weightEndings = [
        ".safetensors", ".safetensors.index.json", ".bin.index.json", ".h5", ".msgpack", ".ot", ".gguf", ".ggml",
        ".onnx",
        ".onnx_data", ".pt", ".pth", ".ckpt", ".partial",
    ]

    private static let weightBeginnings = ["pytorch_model", "tf_model", "flax_model", "model.ckpt"]
}
