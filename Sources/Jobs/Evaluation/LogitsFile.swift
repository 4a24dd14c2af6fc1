import MatrixCore
import Models
import Safetensors

/// Writes rows of logits to a safetensors file as they come.
struct LogitsFile {
    private let writer: SafetensorsWriter

    init(path: String, model: Model, sequences: [[Int32]]) throws {
        let tokens = sequences.reduce(0) { $0 + $1.count }
        let columns = model.head?.outFeatures ?? model.description.hidden
        writer = try SafetensorsWriter(
            path: path,
            tensors: [TensorDeclaration(name: Self.tensor, dtype: .f32, shape: [tokens, columns])])
    }

    private static let tensor = "logits"

    func append(_ rows: MatrixView<Float>) throws {
        try writer.append(MatrixOperand(rows), to: Self.tensor)
    }

    func finish() throws {
        try writer.finish()
    }
}
