import CommandLineKit
import Reporting

extension ReportingError: FailureConvertible {
    /// The document came with the input.
    public var failure: Failure { Failure(.badInput, "\(self)") }
}
