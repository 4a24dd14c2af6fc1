import MatrixCore
import Safetensors

/// The hidden states of all sequences between two layers, one below the other (tokens × hidden), in a file: they may be
/// larger than memory.
struct HiddenStates {
    private static let tensor = "hidden"
    private let file: SafetensorsFile
    private let rowBytes: Int

    init(path: String, hidden: Int) throws(SafetensorsError) {
        // Read, not mapped: pages of the whole file would count as memory of the process.
        file = try SafetensorsFile(path: path, access: .read)
        rowBytes = 4 * hidden
    }

    /// Copies the states of the tokens in `rows` to x (rows × hidden), which has no gaps.
    func read(_ rows: Range<Int>, into x: MutableMatrixView<Float>) throws(SafetensorsError) {
        let bytes = try file.bytes(of: Self.tensor, in: rows.lowerBound * rowBytes..<rows.upperBound * rowBytes)
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(start: x.base, count: source.count).copyMemory(from: source)
        }
    }

    /// Takes the states of all tokens in order.
    struct Writer {
        private let writer: SafetensorsWriter

        init(path: String, tokens: Int, hidden: Int) throws(SafetensorsError) {
            writer = try SafetensorsWriter(
                path: path, tensors: [TensorDeclaration(name: tensor, dtype: .f32, shape: [tokens, hidden])])
        }

        func append(_ x: MatrixView<Float>) throws(SafetensorsError) {
            try writer.append(MatrixOperand(x), to: tensor)
        }

        func finish() throws(SafetensorsError) { try writer.finish() }
    }

    /// Size of the file, but for its header.
    static func bytes(tokens: Int, hidden: Int) -> Int { 4 * tokens * hidden }
}
