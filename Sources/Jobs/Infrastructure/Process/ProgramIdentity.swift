/// The name and version that reports, journals and `--version` carry.
public enum ProgramIdentity {
    public static let name = "lowrank"
    public static let version = "0.1.0"
}
