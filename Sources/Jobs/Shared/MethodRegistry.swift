import CompressionCore
import MixTCompression
import SVDCompression
import SatenCompression
import TensorTrainCompression
import TuckerCompression

/// The methods and schemas that the program knows: adding a method is a folder of its own and a line in each list.
public enum MethodRegistry {
    /// Every way to compress.
    static let compressors: [any Compressor.Type] = [
        SVDCompressor.self, TuckerCompressor.self, OutlierTrainCompressor.self, MixTCompressor.self,
        SatenCompressor.self,
    ]

    /// Every schema that can be read back.
    public static let library = OperatorLibrary([
        DenseOperator.self, FactorOperator.self, PivotOperator.self, SharedBasisOperator.self, TuckerOperator.self,
        TensorTrainOperator.self, MixTOperator.self, SatenOperator.self,
    ])

    /// The names that `--method` takes.
    public static let methods = compressors.map { $0.method }

    /// The options of a method that say how much to keep.
    public static func sizeOptions(of method: String) -> [String] {
        type(of: method)?.sizeOptionNames ?? []
    }

    /// The options that belong to a method.
    public static func options(of method: String) -> [String] {
        type(of: method)?.optionNames ?? []
    }

    /// - Throws: `CompressionError.badOption` for an unknown method, an option of another method, or a value that makes
    ///   no sense.
    public static func compressor(
        _ method: String, _ settings: MethodSettings
    ) throws(CompressionError) -> any Compressor {
        guard let type = type(of: method) else {
            throw .badOption(name: "method", reason: "\"\(method)\" is none of \(methods.joined(separator: ", "))")
        }
        for name in settings.values.keys.sorted() where !type.optionNames.contains(name) {
            let owner = compressors.first { $0.optionNames.contains(name) }
            throw .badOption(
                name: name,
                reason: owner.map { "belongs to --method \($0.method), and the method is \(method)" }
                    ?? "no method has it")
        }
        return try type.init(settings)
    }

    private static func type(of method: String) -> (any Compressor.Type)? {
        compressors.first { $0.method == method }
    }
}
