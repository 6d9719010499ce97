# For tests/windows/test_real_accounts.py on a hosted runner: a local administrator and a plain user,
# with passwords that only this process and its children know. Not for a machine that is anybody's.
$ErrorActionPreference = "Stop"

if ($env:GITHUB_ACTIONS -ne "true") { throw "this makes an administrator: on hosted runners only" }

function New-TestAccount([string] $name, [string] $group, [string] $variable) {
    $random = [Convert]::ToHexString([Security.Cryptography.RandomNumberGenerator]::GetBytes(16))
    $password = "Aa1!$random"
    Write-Output "::add-mask::$password"
    New-LocalUser $name -Password (ConvertTo-SecureString $password -AsPlainText -Force) | Out-Null
    Add-LocalGroupMember -Group $group -Member $name
    Set-Item "env:NETSESSION_REAL_$variable" $name
    Set-Item "env:NETSESSION_REAL_${variable}_PASSWORD" $password
}

New-TestAccount nsadmin Administrators ADMIN
New-TestAccount nsplain Users PLAIN

# Over the network a local administrator is one only with this (UAC's remote restrictions).
$policies = "HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"
Set-ItemProperty $policies LocalAccountTokenFilterPolicy -Value 1 -Type DWord
