import CompressionCore
import SVDCompression

/// The methods and schemas that the program knows: adding a method is a folder of its own and a line here.
public enum MethodRegistry {
    /// Every schema that can be read back.
    public static let library = OperatorLibrary([DenseOperator.self, FactorOperator.self])
}
