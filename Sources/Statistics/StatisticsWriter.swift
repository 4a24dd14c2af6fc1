import Kernels
import MatrixCore
import Safetensors

/// Writes a statistics file input by input, in any order; it appears under its name when all are there.
public final class StatisticsWriter {
    public let header: StatisticsHeader
    private let writer: SafetensorsWriter

    /// Creates the file.
    public init(path: String, header: StatisticsHeader) throws(SafetensorsError) {
        self.header = header
        writer = try SafetensorsWriter(path: path, tensors: header.declarations, metadata: header.metadata)
    }

    /// The size of a file with this header.
    public static func byteCount(_ header: StatisticsHeader) throws(SafetensorsError) -> Int {
        try SafetensorsWriter.byteCount(of: header.declarations, metadata: header.metadata)
    }

    public var byteCount: Int { writer.byteCount }

    /// Writes the sums of an input, moments rounded to the precision of the file.
    public func append(_ moments: InputMoments, of input: LayerInput) throws(SafetensorsError) {
        precondition(moments.features == input.features, "sums of another layer")
        let name = StatisticsHeader.Part.moment.name(of: input)
        // A row at a time: a packed copy of a large moment would need its memory a second time.
        let buffer = AlignedBuffer<Double>(uninitializedCount: input.features)
        let type = header.precision == .f64 ? ElementType.float64 : .float32
        for i in 0..<input.features {
            convert(
                moments.row(i),
                into: MutableMatrixOperand(
                    base: UnsafeMutableRawPointer(buffer.base), type: type, rows: 1, columns: i + 1,
                    rowStride: i + 1, owner: buffer))
            try writer.append(UnsafeRawBufferPointer(start: buffer.base, count: (i + 1) * type.bytes), to: name)
        }
        try append(moments.absoluteSums, .absoluteSum, of: input)
        try append([moments.fourthPowerSum], .fourthPowerSum, of: input)
        try append([Int64(moments.tokens)], .tokens, of: input)
    }

    /// Copies the sums of an input from a file of the same precision.
    public func copy(_ input: LayerInput, from source: ActivationStatistics) throws(StatisticsError) {
        precondition(source.header.precision == header.precision, "a copy keeps the precision")
        do {
            for part in StatisticsHeader.Part.allCases {
                let name = part.name(of: input)
                try source.file.bytes(of: name).withUnsafeBytes { (bytes) throws(SafetensorsError) in
                    try writer.append(bytes, to: name)
                }
                source.file.dropPages(of: name)
            }
        } catch {
            throw .safetensors(error)
        }
    }

    public func finish() throws(SafetensorsError) {
        try writer.finish()
    }

    private func append<Number: BitwiseCopyable>(
        _ numbers: [Number], _ part: StatisticsHeader.Part, of input: LayerInput
    ) throws(SafetensorsError) {
        let name = part.name(of: input)
        try numbers.withUnsafeBufferPointer { (numbers) throws(SafetensorsError) in
            try writer.append(UnsafeRawBufferPointer(numbers), to: name)
        }
    }
}
