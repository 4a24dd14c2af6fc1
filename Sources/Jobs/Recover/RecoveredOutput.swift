import Checkpoints
import CommandLineKit
import CompressionCore
import Safetensors

/// Writes the folder again with other numbers in the trained tensors: names, shapes, types and everything else stay.
struct RecoveredOutput {
    let checkpoint: Checkpoint
    /// By module.
    let operators: [String: any TrainableOperator]

    func write(
        to folder: String, maximumShardBytes: Int, _ progress: any ProgressReporter, _ interruption: Interruption
    ) throws {
        var trained: [String: StoredTensor] = [:]
        for (module, layer) in operators {
            for tensor in layer.numbers { trained[tensor.fullName(in: module)] = tensor.tensor }
        }
        let writer = try CheckpointWriter(
            folder: folder, config: checkpoint.config,
            tensors: checkpoint.tensors.map { TensorDeclaration(name: $0.name, dtype: $0.dtype, shape: $0.shape) },
            maximumShardBytes: maximumShardBytes)
        progress.begin(ProgressStage("write", total: writer.names.count, unit: .items("tensors")))
        for name in writer.names {
            try interruption.check()
            if let tensor = trained[name] {
                try tensor.withUnsafeBytes { try writer.append($0, to: name) }
            } else {
                try writer.copy(name, from: checkpoint)
            }
            progress.advance(by: 1, name)
        }
        try writer.finish()
        progress.end()
        for file in try checkpoint.filesToCopy() {
            try StagedFile.write(try OpenFile.contents(of: checkpoint.path + "/" + file), as: file, in: folder)
        }
    }
}
