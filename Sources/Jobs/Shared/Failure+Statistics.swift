import CommandLineKit
import Statistics

extension StatisticsError: FailureConvertible {
    /// All of it came with the input.
    public var failure: Failure {
        if case .safetensors(let error) = self { return Failure(explaining: error) }
        return Failure(.badInput, "\(self)", file: file, tensor: tensor)
    }
}
